import { type ApiProxy, isWatch, openProxy, serverKubeConfig, testKubeConfig } from '@testing/runtime-kubernetes';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'yaml';
import { ServerRig } from '../testing';

/** What waits for a minute of grace, and what waits for the end of an outage. */
const LONG = { within: 110_000 };
const OUTAGE_MS = 60_000;
/** What a shell says while the API is gone. */
const LINES = 20_000;
/** Without `/bin/sh`: its container cannot start. */
const BARE_IMAGE = 'localhost/devkube/pause:3.2';
const OWN_CLUSTERS = ['cut', 'refused', 'outage'] as const;

/** Runs while others run: what waits a minute for a scheduler need not wait for another that does. */
describe('what goes wrong in clusters, over HTTP and WebSocket', () => {
  const rig = new ServerRig();
  const rows = new Map<string, () => Promise<void>>();
  const begun = new Map<string, Promise<void>>();
  const proxies = new Map<string, ApiProxy>();
  const first = new Map<string, string>();
  const times: Record<string, number> = {};
  let registry: Server;

  const row = (name: string, run: () => Promise<void>): void => {
    rows.set(name, run);
    it(name, async () => begun.get(name));
  };
  const proxied = (name: (typeof OWN_CLUSTERS)[number]): { proxy: ApiProxy; id: string } => {
    const proxy = proxies.get(name);
    if (!proxy) throw new Error(`no proxy ${name}`);
    return { proxy, id: first.get(name) ?? '' };
  };
  const began = performance.now();
  const timed = async (name: string, run: () => Promise<void>): Promise<void> => {
    await run();
    times[name] = Math.round((performance.now() - began) / 1000);
  };

  beforeAll(async () => {
    registry = createServer((_request, response) => response.writeHead(404).end()).listen(0, '127.0.0.1');
    await once(registry, 'listening');
    await rig.start();
    await rig.user('victim');
    // All is requested that may be used: only then does the kernel leave the first process of a container to be chosen.
    // By the administrator's kubeconfig, which holds a key.
    await rig.addCluster('plain', { cpu_request_percent: 100, memory_request_percent: 100 }, testKubeConfig());
    for (const name of OWN_CLUSTERS) {
      const proxy = await openProxy(serverKubeConfig());
      proxies.set(name, proxy);
      // Alone in its region, so that what is created during the outage goes there too.
      const region = name === 'outage' ? 'asia-pacific' : 'eu-central';
      await rig.addCluster(name, { region }, proxy.kubeConfig);
      first.set(name, await rig.create(name, { region }));
    }
    for (const [name, run] of rows) begun.set(name, timed(name, run));
    // A row that fails is told of by its own test, which may come later.
    for (const one of begun.values()) one.catch(() => undefined);
  }, 120_000);
  afterAll(async () => {
    process.stdout.write(`${JSON.stringify(times)}\n`);
    await Promise.allSettled(begun.values());
    await rig.close();
    for (const proxy of proxies.values()) await proxy.stop();
    registry.close();
  }, 120_000);

  row('an image that is not there', async () => {
    const image = `127.0.0.1:${(registry.address() as AddressInfo).port}/none:1`;
    const id = await rig.create('absent', { image });
    expect(await rig.reachStatus(id, 'error')).toMatchObject({ status_reason: 'image_not_found', retryable: false });
    await rig.remove(id);
  });

  row('a node selector that no node has, and then a volume that no class makes', async () => {
    const region = 'us-west';
    await rig.addCluster('selective', { region, node_selector: { no: 'such-node' } });
    const picky = await rig.create('picky', { region });
    await rig.addCluster('classless', { region, storage_class: 'no-such-class' });
    const boundless = await rig.create('boundless', { region });
    const [unscheduled, unbound] = await Promise.all([
      rig.reachStatus(picky, 'error', LONG),
      rig.reachStatus(boundless, 'error', LONG),
    ]);
    expect(unscheduled).toMatchObject({ status_reason: 'unschedulable', retryable: true });
    expect(unbound).toMatchObject({ status_reason: 'volume_failed', retryable: true });
    expect(unbound.status_message).toContain('no-such-class');
    await Promise.all([rig.remove(picky), rig.remove(boundless)]);
  });

  row('a container that ends at once', async () => {
    const id = await rig.create('bare', { image: BARE_IMAGE });
    const failed = await rig.reachStatus(id, 'error');
    expect(failed).toMatchObject({ status_reason: 'crash_loop', retryable: false });
    expect(failed.status_message).toContain('/bin/sh');
    await rig.remove(id);
  });

  row('a container that ends by itself', async () => {
    const id = await rig.create('ended');
    await rig.reachStatus(id, 'running');
    const shell = await rig.shell(id);
    await shell.told('welcome');
    shell.type('kill -TERM 1\n');
    expect(await rig.reachStatus(id, 'error')).toMatchObject({ status_reason: 'crash_loop', retryable: true });
    expect(await shell.told('exit')).toMatchObject({ reason: 'environment_stopped' });
    await rig.remove(id);
  });

  row('a container that is out of memory', async () => {
    // A multiple of a thousand pages, by which the kernel's score is counted.
    const id = await rig.create('greedy', { resources: { cpu: '100m', memory: String(16_000 * 4096), storage: '16Mi' } });
    await rig.reachStatus(id, 'running');
    const shell = await rig.shell(id);
    await shell.told('welcome');
    shell.type('echo 1000 >/proc/1/oom_score_adj; x=$(head -c 200000000 /dev/zero | tr "\\0" x)\n');
    expect(await rig.reachStatus(id, 'error')).toMatchObject({ status_reason: 'out_of_memory', retryable: true });
    expect(await shell.told('exit')).toMatchObject({ reason: 'out_of_memory' });
    await rig.ask('POST', `/environments/${id}/start`);
    await rig.reachStatus(id, 'running');
    await rig.remove(id);
  });

  row('a pod deleted behind our back, whose volume stays', async () => {
    const id = await rig.create('robbed');
    await rig.reachStatus(id, 'running');
    const shell = await rig.shell(id);
    await shell.told('welcome');
    shell.type('echo safe >kept; echo do""ne\n');
    await shell.hears('done\r\n');
    await rig.cluster.rob(id);
    expect(await shell.talk.over).toBe(4410);
    expect(await rig.reachStatus(id, 'error')).toMatchObject({ status_reason: 'runtime_state_lost', retryable: true });
    await rig.ask('POST', `/environments/${id}/start`);
    await rig.reachStatus(id, 'running');
    const again = await rig.shell(id);
    await again.told('welcome');
    again.type("sed 's/^/=/' kept\n");
    await again.hears('=safe\r\n');
    await rig.remove(id);
  });

  row('a namespace deleted behind our back, with the volume, and made again by a start', async () => {
    const user = 'victim';
    const id = await rig.create('evicted', {}, { user });
    const { user_id } = await rig.reachStatus(id, 'running', { user });
    await rig.cluster.raze(String(user_id));
    expect(await rig.reachStatus(id, 'error', { user })).toMatchObject({ status_reason: 'runtime_state_lost', retryable: true });
    await rig.until(async () => !(await rig.cluster.left()).some((name) => name.includes(id)), 'the volume is still there');
    await rig.ask('POST', `/environments/${id}/start`, undefined, { user });
    await rig.reachStatus(id, 'running', { user });
    const shown = (await rig.history(id, user)).filter((one) => one !== 'stopping');
    expect(shown).toEqual(['creating', 'running', 'error runtime_state_lost', 'starting', 'running']);
    await rig.remove(id, user);
  });

  row('watches that are cut, and that the API then does not take up again', async () => {
    const { proxy, id } = proxied('cut');
    await rig.reachStatus(id, 'running');
    const shell = await rig.shell(id);
    await shell.told('welcome');
    proxy.cut('watches');
    const opened = proxy.calls.length;
    await rig.until(() => proxy.calls.slice(opened).filter(isWatch).length >= 4, 'the watches are not opened again');
    shell.type('echo st""ill\n');
    await shell.hears('still\r\n');
    expect(await rig.history(id)).toEqual(['creating', 'running']);

    proxy.fate = (call) => (isWatch(call) ? 'lose_call' : 'pass');
    proxy.cut('watches');
    await rig.cluster.rob(id);
    await rig.until(
      async () => !(await rig.cluster.left()).some((name) => name.startsWith(`pods env-${id}`)),
      'the pod is still there',
    );
    // From here on every kind is refused once as too old, and has to be listed again.
    const refused = new Set<string>();
    const from = proxy.calls.length;
    proxy.fate = (call) => {
      const [path = ''] = call.url.split('resourceVersion');
      if (!isWatch(call) || refused.has(path)) return 'pass';
      refused.add(path);
      return 410;
    };
    expect(await rig.reachStatus(id, 'error')).toMatchObject({ status_reason: 'runtime_state_lost' });
    await rig.until(() => refused.size >= 4, 'not every watch was tried again');
    expect(proxy.calls.slice(from).filter((call) => call.url.startsWith('/api/v1/pods?') && !isWatch(call))).not.toEqual([]);
    const shown = new Set(await rig.history(id));
    for (const word of ['running runtime_unreachable', 'stopping']) shown.delete(word);
    expect([...shown]).toEqual(['creating', 'running', 'error runtime_state_lost']);
    await rig.remove(id);
  });

  row('a terminal that the API refuses', async () => {
    const { proxy, id } = proxied('refused');
    await rig.reachStatus(id, 'running');
    proxy.fate = ({ url }) => (url.includes('/exec?') ? 403 : 'pass');
    const shell = await rig.shell(id);
    expect(await shell.told('error')).toMatchObject({ code: 'unavailable' });
    expect(await rig.ask('GET', `/environments/${id}`)).toMatchObject({ status: 'running', status_reason: null });
    proxy.fate = () => 'pass';
    const again = await rig.shell(id);
    await again.told('welcome');
    await rig.remove(id);
  });

  row('an API that hangs, is gone, and comes back', async () => {
    const { proxy, id: quiet } = proxied('outage');
    const region = 'asia-pacific';
    const [robbed, stopped, deleted] = await Promise.all(
      ['o-robbed', 'o-stopped', 'o-deleted'].map((name) => rig.create(name, { region })),
    );
    const all = [quiet, robbed, stopped, deleted].map(String);
    await Promise.all(all.map((id) => rig.reachStatus(id, 'running')));
    const [, lost, ended, gone] = all as [string, string, string, string];
    const shell = await rig.shell(quiet);
    const { session_id: session } = await shell.told('welcome');
    shell.type(`echo pi""d-$$-; sleep 20; seq ${LINES}\n`);
    const pid = await shell.hears(/pid-(\d+)-/);

    const over = delay(OUTAGE_MS);
    proxy.fate = () => 'hold_call';
    proxy.cut();
    const unreachable = { status: 'running', status_reason: 'runtime_unreachable' };
    await rig.ask('POST', `/environments/${ended}/stop`);
    await rig.ask('DELETE', `/environments/${gone}`);
    const late = await rig.create('o-late', { region });
    await rig.cluster.rob(lost);
    shell.type('echo typed-$$-\n');
    for (const id of [quiet, lost]) expect(await rig.reach(id, (seen) => seen.status_reason !== null)).toMatchObject(unreachable);
    await proxy.stop();
    proxy.fate = () => 'pass';
    await over;
    for (const id of [quiet, lost]) expect(await rig.ask('GET', `/environments/${id}`)).toMatchObject(unreachable);
    const waiting = { status_reason: 'runtime_unreachable' };
    expect(await rig.ask('GET', `/environments/${ended}`)).toMatchObject({ ...waiting, status: 'stopping' });
    expect(await rig.ask('GET', `/environments/${late}`)).toMatchObject({ ...waiting, status: 'creating' });
    await expect(rig.ask('GET', `/environments/${gone}`)).rejects.toMatchObject({ status: 404 });
    expect(await (await rig.shell(quiet)).told('error')).toMatchObject({ code: 'unavailable' });
    expect(shell.heard).not.toContain(`typed-${pid}-`);

    await proxy.start();
    // The same shell goes on: nothing that it said is missing, and what was typed meanwhile was typed once.
    await shell.hears(`typed-${pid}-`);
    const numbers = Array.from({ length: LINES }, (_, at) => `${at + 1}\r\n`).join('');
    expect(shell.heard.split(numbers)).toHaveLength(2);
    expect(shell.heard.split(`typed-${pid}-`)).toHaveLength(2);
    const again = await rig.shell(quiet, { query: `&session_id=${String(session)}` });
    await again.hears(`typed-${pid}-`);
    await Promise.all([
      rig.reach(quiet, ({ status, status_reason }) => status === 'running' && status_reason === null),
      rig.reachStatus(lost, 'error'),
      rig.reachStatus(ended, 'stopped'),
      rig.reachStatus(late, 'running'),
      rig.until(async () => !(await rig.cluster.left()).some((name) => name.includes(gone)), 'the deleted one is still there'),
    ]);
    expect(await rig.history(quiet)).toEqual(['creating', 'running', 'running runtime_unreachable', 'running']);
    expect((await rig.history(lost)).at(-1)).toBe('error runtime_state_lost');
    expect(await rig.history(late)).toEqual(['creating', 'creating runtime_unreachable', 'creating', 'running']);
    await Promise.all([quiet, lost, ended, late].map((id) => rig.remove(id)));
  });

  it('leave nothing behind, and no key or token in any log line, answer or record', async () => {
    await Promise.all(begun.values());
    await rig.untilEmpty();
    const told = rig.said.join('\n') + (await rig.dump());
    for (const word of ['POST /api/v1/clusters 201', 'cluster.added', '/bin/sh']) expect(told).toContain(word);
    const secrets = secretsOf(testKubeConfig(), ...[...proxies.values()].map(({ token }) => token));
    expect(secrets.length).toBeGreaterThan(20);
    expect(secrets.filter((secret) => told.includes(secret))).toEqual([]);
  });
});

/** Pieces of a kubeconfig's credentials, each long enough to be no chance: as they stand there, and as what they encode. */
function secretsOf(kubeConfig: string, ...tokens: readonly string[]): readonly string[] {
  const { users } = parse(kubeConfig) as { users: { user: Record<string, string> }[] };
  const encoded = users.flatMap(({ user }) => Object.values(user)).filter((value) => typeof value === 'string');
  const lines = (text: string): string[] => text.split(/\s+/).filter((line) => line.length > 40);
  const pieces = (text: string): string[] => text.match(/.{60}/g) ?? [];
  const decoded = encoded.flatMap((value) => lines(Buffer.from(value, 'base64').toString('latin1')));
  const whole = Buffer.from(kubeConfig).toString('base64');
  return [...tokens, ...encoded.flatMap(pieces), ...decoded, ...pieces(whole)];
}
