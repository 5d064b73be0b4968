import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { RuntimeError } from '@devpocket/runtime';
import { UsersService } from '@devpocket/users';
import { FakeClusterInspector, FakeDriver, KUBE_SECRETS, kubeConfig } from '@testing/runtime';
import { inspect } from 'node:util';
import { type Answer, TestApi, type TestUser } from '../testing';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const UNKNOWN = '0123456789abcdef01234567';

describe('clusters over HTTP', () => {
  const inspector = new FakeClusterInspector();
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock(), kind: 'kubernetes' })], {}, inspector);
  /** Everything that was answered, and everything that was logged. */
  const told: string[] = [];
  const written: string[] = [];
  let admin: TestUser;

  beforeAll(async () => {
    await api.start();
    const write = (...parts: unknown[]): number => written.push(inspect(parts, { depth: 10 }));
    api.running.app.useLogger({ log: write, warn: write, error: write, debug: write, verbose: write, fatal: write });
    admin = await api.user('operator');
    const users = api.running.app.get(UsersService);
    await users.promote((await users.findByName('operator'))?.id ?? '');
    await admin.client.login('operator', 'Correct-horse-1');
    admin = { ...admin, token: await admin.client.accessToken() };
  });
  afterAll(() => api.close());

  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> => {
    const answer = await api.call(method, path, { token: admin.token, headers, ...(body === undefined ? {} : { body }) });
    told.push(JSON.stringify([answer.body, [...answer.headers]]));
    return answer;
  };
  const add = (name: string, more: Record<string, unknown> = {}, headers = {}): Promise<Answer> =>
    call('POST', '/clusters', { name, region: 'eu-central', kube_config: base64(kubeConfig()), ...more }, headers);
  const idOf = ({ body }: Answer): string => (isRecord(body) ? String(body.id) : '');

  it('are added, shown whole, changed in part and removed', async () => {
    const added = await add('whole', { is_default: true });
    const whole = {
      id: expect.stringMatching(/^[0-9a-f]{24}$/) as string,
      name: 'whole',
      region: 'eu-central',
      description: null,
      endpoint: 'https://10.0.0.1:6443',
      is_default: true,
      max_environments: 1000,
      status: 'active',
      environments_count: 0,
      cpu_request_percent: 5,
      memory_request_percent: 25,
      storage_class: null,
      runtime_class_name: null,
      node_selector: {},
      tolerations: [],
      image_pull_secrets: [],
      created_at: expect.stringMatching(/Z$/) as string,
      updated_at: expect.stringMatching(/Z$/) as string,
    };
    expect([added.status, added.body]).toEqual([201, whole]);
    const path = `/clusters/${idOf(added)}`;
    const change = {
      description: 'the first',
      max_environments: 7,
      status: 'maintenance',
      node_selector: { 'kubernetes.io/arch': 'arm64' },
      tolerations: [{ key: 'devpocket.io/only', operator: 'Exists', effect: 'NoSchedule' }],
      image_pull_secrets: ['registry'],
      storage_class: 'fast.ssd',
      runtime_class_name: 'gvisor',
      cpu_request_percent: 50,
    };
    const changed = await call('PUT', path, change);
    expect([changed.status, changed.body]).toEqual([200, { ...whole, ...change }]);
    expect((await call('GET', path)).body).toEqual(changed.body);
    const list = await call('GET', '/clusters?region=eu-central&limit=1');
    expect([list.body, list.headers.get('x-total-count')]).toEqual([[changed.body], '1']);
    expect((await call('GET', '/clusters?region=us-west')).body).toEqual([]);
    const removed = await call('DELETE', path);
    expect([removed.status, removed.body]).toEqual([204, null]);
    expect((await call('GET', path)).status).toBe(404);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a kubeconfig that is no base64', { kube_config: 'not base64!' }, 'kube_config'],
    ['a kubeconfig that does not parse', { kube_config: base64('a: [') }, 'kube_config'],
    ['a plugin', { kube_config: base64(kubeConfig({ user: `{ exec: { command: ${KUBE_SECRETS[0]} } }` })) }, 'kube_config'],
    [
      'an unchecked certificate',
      { kube_config: base64(kubeConfig({ cluster: ', insecure-skip-tls-verify: true' })) },
      'kube_config',
    ],
    ['no region', { region: 'mars' }, 'region'],
    ['a blank name', { name: ' ' }, 'name'],
    ['an endpoint with a password', { endpoint: `https://a:${KUBE_SECRETS[2]}@10.0.0.1` }, 'endpoint'],
    ['no places', { max_environments: 0 }, 'max_environments'],
    ['a share above all', { memory_request_percent: 101 }, 'memory_request_percent'],
    ['a label that is none', { node_selector: { 'a b': 'c' } }, 'node_selector.a b'],
    ['a label that is no text', { node_selector: { a: 1 } }, 'node_selector.a'],
    ['a toleration without a key', { tolerations: [{ effect: 'NoSchedule' }] }, 'tolerations.0'],
    ['a toleration of no effect', { tolerations: [{ key: 'a', effect: 'Nothing' }] }, 'tolerations.0.effect'],
    ['a secret that is no name', { image_pull_secrets: ['A_B'] }, 'image_pull_secrets.0'],
    ['a status', { status: 'active' }, 'status'],
    ['a field that there is not', { kubeconfig: 'x' }, 'kubeconfig'],
  ])('are refused with %s, naming it', async (_what, more, field) => {
    const { status, body } = await add('refused', more);
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'validation_error', errors: [{ field }] });
  });

  it('are refused with a name in use, and not found by an id that is none', async () => {
    const id = idOf(await add('taken'));
    expect(await add('TAKEN')).toMatchObject({ status: 400, body: { code: 'name_taken' } });
    expect(await call('PUT', `/clusters/${idOf(await add('other'))}`, { name: 'Taken' })).toMatchObject({ status: 400 });
    for (const [method, path] of [
      ['GET', UNKNOWN],
      ['DELETE', UNKNOWN],
      ['GET', `${UNKNOWN}/health`],
      ['GET', 'x'],
    ] as const)
      expect(await call(method, `/clusters/${path}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    for (const name of ['name', 'region', 'is_default', 'status', 'kube_config'])
      expect(await call('PUT', `/clusters/${id}`, { [name]: null })).toMatchObject({
        status: 422,
        body: { errors: [{ field: name }] },
      });
  });

  it('are added once under an idempotency key', async () => {
    const [first, second] = [
      await add('once', {}, { 'idempotency-key': 'k' }),
      await add('once', {}, { 'idempotency-key': 'k' }),
    ];
    expect([idOf(second), second.headers.get('idempotency-replayed')]).toEqual([idOf(first), 'true']);
  });

  it('tell how they are, as asked now', async () => {
    const id = idOf(await add('measured'));
    expect((await call('GET', `/clusters/${id}/health`)).body).toEqual({
      cluster_id: id,
      status: 'healthy',
      last_check: expect.stringMatching(/Z$/) as string,
      response_time_ms: 5,
      error_message: null,
      node_count: 1,
      available_resources: { cpu: '3500m', memory: '7168Mi' },
    });
    inspector.readings.set('measured', new RuntimeError('unreachable', 'connect ECONNREFUSED 10.0.0.1:6443'));
    expect((await call('GET', `/clusters/${id}/health`)).body).toMatchObject({
      status: 'unhealthy',
      response_time_ms: null,
      error_message: 'connect ECONNREFUSED 10.0.0.1:6443',
      node_count: null,
      available_resources: null,
    });
    inspector.readings.set('measured', new Error(`socket of ${KUBE_SECRETS[1]}`));
    expect((await call('GET', `/clusters/${id}/health`)).status).toBe(200);
    inspector.readings.clear();
  });

  it('are regions to every user, and hold environments', async () => {
    const cluster = await add('home', { region: 'asia-pacific', is_default: true });
    const user = await api.user('dweller');
    const regions = await api.call('GET', '/clusters/regions', { token: user.token });
    expect(isRecord(regions.body) && regions.body.regions).toContainEqual({
      region: 'asia-pacific',
      display_name: 'Asia Pacific',
      cluster_count: 1,
      available: true,
      has_default: true,
    });
    const body = { name: 'one', template: 'ubuntu', region: 'asia-pacific' };
    const created = await api.call('POST', '/environments', { token: user.token, body });
    expect(created).toMatchObject({ status: 201, body: { cluster_id: idOf(cluster), region: 'asia-pacific' } });
    expect((await call('GET', `/clusters/${idOf(cluster)}`)).body).toMatchObject({ environments_count: 1 });
    expect(await call('DELETE', `/clusters/${idOf(cluster)}`)).toMatchObject({ status: 400, body: { code: 'cluster_in_use' } });
    const other = await api.user('homeless');
    const nowhere = await api.call('POST', '/environments', { token: other.token, body: { ...body, region: 'us-west' } });
    expect(nowhere).toMatchObject({ status: 503, body: { code: 'no_cluster_available' } });
    expect(nowhere.headers.get('retry-after')).toBe('60');
  });

  it('tell no secret, in an answer or in the log', () => {
    expect(told.length).toBeGreaterThan(40);
    expect(written.join('')).toContain('The cluster is unhealthy');
    const all = told.join('\n') + written.join('');
    for (const secret of [...KUBE_SECRETS, base64(kubeConfig()).slice(20, 60)]) expect(all).not.toContain(secret);
  });
});

describe('a server without a runtime for clusters', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })]);
  beforeAll(() => api.start());
  afterAll(() => api.close());

  it('adds none and has none', async () => {
    const { token, client } = await api.user('operator');
    const users = api.running.app.get(UsersService);
    await users.promote((await users.findByName('operator'))?.id ?? '');
    await client.login('operator', 'Correct-horse-1');
    const as = { token: await client.accessToken() };
    const body = { name: 'a', region: 'us-east', kube_config: base64(kubeConfig()) };
    const refused = await api.call('POST', '/clusters', { ...as, body });
    expect(refused).toMatchObject({ status: 503, body: { code: 'runtime_not_available' } });
    expect((await api.call('GET', '/clusters', as)).body).toEqual([]);
    expect((await api.call('GET', '/clusters/regions', { token })).body).toEqual({ regions: [] });
    expect((await api.call('GET', '/admin/orphans', as)).body).toEqual([]);
  });
});
