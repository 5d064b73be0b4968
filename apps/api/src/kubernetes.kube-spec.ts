import { isRecord } from '@devpocket/client';
import { Installation } from '@devpocket/database';
import { TemplatesService } from '@devpocket/templates';
import { UsersService } from '@devpocket/users';
import { testSettings } from '@testing/config';
import { serverKubeConfig, TEST_IMAGE, TestCluster } from '@testing/runtime-kubernetes';
import { eventually, PASSWORD, type Talk, talk, TestApi, type TestUser } from '../testing';
import { runtimesOf } from './runtime-drivers';

/** Of one step: a pod takes some seconds to end, a namespace some more. */
const LONGEST_MS = 60_000;

describe('environments in clusters, over HTTP and WebSocket', () => {
  const { drivers, inspector } = runtimesOf(testSettings({ DATA_DIR: 'unused', RUNTIME: 'kubernetes' }));
  const api = new TestApi(
    (_dataDir, needs) => drivers(needs),
    { ALLOW_CUSTOM_IMAGES: 'true', ALLOWED_IMAGE_PATTERNS: `${TEST_IMAGE},127.0.0.1:*/*` },
    inspector,
  );
  let owner: TestUser;
  /** The real cluster, to look behind the server. */
  let cluster: TestCluster;
  const clusterOf: Record<string, string> = {};

  beforeAll(async () => {
    await api.start();
    owner = await api.user('operator');
    const users = api.running.app.get(UsersService);
    const ownerId = (await users.findByName('operator'))?.id ?? '';
    await users.promote(ownerId);
    await owner.client.login('operator', PASSWORD);
    await ask('PATCH', `/users/${ownerId}`, { subscription_plan: 'admin' });
    await owner.client.login('operator', PASSWORD);
    cluster = await TestCluster.open(await api.running.app.get(Installation).id());
    // The same cluster twice, as two of them.
    for (const region of ['us-east', 'eu-central']) {
      const kube_config = Buffer.from(serverKubeConfig()).toString('base64');
      const added = await ask('POST', '/clusters', { name: `of-${region}`, region, kube_config, is_default: true });
      clusterOf[region] = String(added.id);
    }
  });
  afterAll(async () => {
    await api.close();
    await cluster.close();
  });

  const ask = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const answer = await owner.client.request(method, path, body);
    return isRecord(answer) ? answer : {};
  };
  const create = async (name: string, more: object = {}): Promise<string> => {
    const made = await ask('POST', '/environments', { name, template: 'custom', image: TEST_IMAGE, ...more });
    return String(made.id);
  };
  const reach = (id: string, status: string): Promise<Record<string, unknown>> =>
    eventually(async () => {
      const seen = await ask('GET', `/environments/${id}`);
      return seen.status === status ? seen : null;
    }, LONGEST_MS);
  const act = async (id: string, action: string, status: string): Promise<void> => {
    await ask('POST', `/environments/${id}/${action}`);
    await reach(id, status);
  };
  /** Deletes what is left, and waits until the cluster holds nothing of it. */
  const remove = async (id: string): Promise<void> => {
    await ask('DELETE', `/environments/${id}`);
    await eventually(async () => !(await cluster.left()).some((name) => name.includes(id)), LONGEST_MS);
  };

  async function shellOf(id: string, size = 'cols=100&rows=30'): Promise<Talk> {
    const { ticket } = await ask('POST', `/environments/${id}/terminal-ticket`);
    const shell = talk(api.url, `/api/v1/ws/terminal/${id}?ticket=${String(ticket)}&${size}`);
    await eventually(() => Promise.resolve(shell.messages.find(({ type }) => type === 'welcome')));
    return shell;
  }
  const type = (shell: Talk, data: string): void => shell.socket.send(JSON.stringify({ type: 'input', data }));
  const heard = ({ messages }: Talk): string =>
    messages.map((message) => (message.type === 'output' ? String(message.data) : '')).join('');
  const hears = (shell: Talk, text: string): Promise<unknown> => eventually(() => Promise.resolve(heard(shell).includes(text)));

  it('are placed by their region, and nowhere where there is none', async () => {
    const [east, central] = await Promise.all([
      create('east', { region: 'us-east' }),
      create('central', { region: 'eu-central' }),
    ]);
    expect(await reach(east, 'running')).toMatchObject({ cluster_id: clusterOf['us-east'], region: 'us-east' });
    expect(await reach(central, 'running')).toMatchObject({ cluster_id: clusterOf['eu-central'], region: 'eu-central' });
    await expect(create('nowhere', { region: 'asia-pacific' })).rejects.toMatchObject({
      status: 503,
      code: 'no_cluster_available',
    });
    expect(await ask('GET', `/clusters/${clusterOf['us-east']}`)).toMatchObject({ environments_count: 1 });
    expect(await ask('GET', `/clusters/${clusterOf['us-east']}/health`)).toMatchObject({ status: 'healthy', node_count: 1 });
    await Promise.all([remove(east), remove(central)]);
  });

  it('run, have terminals, stop, start with their files and leave nothing', async () => {
    const id = await create('whole', { environment_variables: { GREETING: 'salut' } });
    expect(await reach(id, 'running')).toMatchObject({ phase: 'ready', progress: 100, status_reason: null });
    const shell = await shellOf(id);
    type(shell, 'stty size; echo "=$GREETING"\n');
    await hears(shell, '30 100\r\n');
    await hears(shell, '=salut\r\n');
    shell.socket.send(JSON.stringify({ type: 'resize', cols: 120, rows: 40 }));
    await eventually(() => Promise.resolve(shell.messages.some(({ type: of, cols }) => of === 'size' && cols === 120)));
    type(shell, 'stty size\n');
    await hears(shell, '40 120\r\n');
    type(shell, "printf '%s\\n' 'grüße 日本 🎉' >kept; sed 's/^/=/' kept\n");
    await hears(shell, '=grüße 日本 🎉\r\n');
    type(shell, 'echo beg""un; sleep 1000\n');
    await hears(shell, 'begun\r\n');
    type(shell, '\u0003');
    type(shell, 'echo code""=$?\n');
    await hears(shell, 'code=130\r\n');
    type(shell, 'exit 7\n');
    expect(await shell.over).toBe(1000);
    expect(shell.messages.at(-1)).toEqual({ type: 'exit', code: 7, signal: null, reason: 'exited' });

    const attached = await shellOf(id);
    await act(id, 'stop', 'stopped');
    expect(await attached.over).toBe(4410);
    expect(attached.messages).toContainEqual(expect.objectContaining({ type: 'exit', reason: 'environment_stopped' }));
    expect((await cluster.left()).filter((name) => name.startsWith('pods'))).toEqual([]);
    await act(id, 'start', 'running');
    const again = await shellOf(id);
    type(again, "sed 's/^/=/' kept\n");
    await hears(again, '=grüße 日本 🎉\r\n');
    await ask('DELETE', `/environments/${id}`);
    expect(await again.over).toBe(4410);
    await eventually(async () => (await cluster.left()).length === 0, LONGEST_MS);
  });

  it('of a template that asks for it cannot write to their image, only to /workspace and /tmp', async () => {
    const text = `
name: sealed
display_name: Sealed
category: system
image: ${TEST_IMAGE}
default_resources: { cpu: 500m, memory: 64Mi, storage: 64Mi }
startup_commands: ['echo of the startup >/tmp/first && cp /tmp/first .']
read_only_root: true
`;
    await api.running.app
      .get(TemplatesService)
      .load([{ name: 'sealed.yaml', text }], { userId: null, ip: null, requestId: null });
    const id = String((await ask('POST', '/environments', { name: 'sealed', template: 'sealed' })).id);
    expect(await reach(id, 'running')).toMatchObject({ status_reason: null });
    const shell = await shellOf(id);
    const found = 'for at in / /home /usr/bin /workspace /tmp; do touch $at/x 2>&1 && echo "$at""=yes"; done; echo en""d\n';
    type(shell, `awk '$2 == "/" {print "ro""ot=" $4}' /proc/mounts; cat first; ${found}`);
    await hears(shell, 'end\r\n');
    expect(heard(shell).match(/^\/\w*=yes/gm)).toEqual(['/workspace=yes', '/tmp=yes']);
    expect(heard(shell)).toMatch(/Read-only file system/);
    expect(heard(shell)).toMatch(/^root=ro\b/m);
    expect(heard(shell)).toMatch(/^of the startup/m);
    await remove(id);
  });

  it('whose volume the cluster refuses to grow say so, and go on with what they have', async () => {
    const id = await create('small', { resources: { storage: '32Mi' } });
    await reach(id, 'running');
    const larger = await ask('PATCH', `/environments/${id}`, { resources: { storage: '64Mi' } });
    expect(larger).toMatchObject({ restart_required: ['resources'], status_reason: null });
    await act(id, 'stop', 'stopped');
    await act(id, 'start', 'running');
    const failed = {
      status_reason: 'volume_failed',
      status_message: expect.stringMatching(/^The volume could not grow: .*resize/) as string,
    };
    expect(await ask('GET', `/environments/${id}`)).toMatchObject(failed);
    const events = (await owner.client.request('GET', `/environments/${id}/events`)) as readonly object[];
    expect(events).toContainEqual(expect.objectContaining({ type: 'running', reason: 'volume_failed' }));
    await remove(id);
  });
});
