import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { parse } from 'yaml';
import { type ApiProxy, reach, TEST_CLUSTER, TestCluster, testKubeConfig } from '../testing';
import { execute, ExecStream } from './exec-stream';
import { KubernetesInspector } from './kubernetes-inspector';
import { CONTAINER, namespaceOf } from './names';

const ONE = '0123456789abcdef0000ca01';
const TWO = '0123456789abcdef0000ca02';

let cluster: TestCluster;
afterEach(() => cluster.close());

describe('calls of the API', () => {
  it('are few for an act, and none for an environment that idles', async () => {
    cluster = await TestCluster.open('calls');
    const proxy = await cluster.proxied();
    const driver = await cluster.driver();
    const counted: Record<string, readonly string[]> = {};
    const count = async (name: string, work: () => Promise<unknown>): Promise<number> => {
      proxy.calls.length = 0;
      await work();
      counted[name] = brief(proxy);
      return counted[name].length;
    };
    const [one, two] = [cluster.place(ONE), cluster.place(TWO)];
    const create = async (id: string): Promise<void> => {
      await driver.look(cluster.place(id));
      await driver.start(cluster.spec(id, 1));
      await reach(driver, cluster.place(id), 'running');
    };
    await driver.look(one);
    expect(await count('create, the first of its user', () => create(ONE))).toBeLessThanOrEqual(9);
    expect(await count('create', () => create(TWO))).toBeLessThanOrEqual(4);
    expect(
      await count('idle', async () => {
        for (let looks = 0; looks < 50; looks += 1) {
          await driver.look(one);
          await delay(20);
        }
      }),
    ).toBe(0);
    const stop = async (): Promise<void> => {
      await driver.stop(one, { incarnation: 1, graceMs: 1000, kill: false });
      await reach(driver, one, 'stopped');
    };
    expect(await count('stop', stop)).toBeLessThanOrEqual(8);
    expect(await count('idle, stopped', () => driver.look(one))).toBe(0);
    // Of the cluster, however many environments there are.
    expect(await count('sweep', () => driver.list())).toBe(3);
    const start = async (): Promise<void> => {
      await driver.start(cluster.spec(ONE, 2));
      await reach(driver, one, 'running');
    };
    expect(await count('start', start)).toBeLessThanOrEqual(2);
    const destroy = async (place: typeof one): Promise<void> => {
      await driver.destroy(place);
      await reach(driver, place, 'absent');
    };
    expect(await count('delete', () => destroy(one))).toBeLessThanOrEqual(8);
    expect(await count('delete, the last of its user', () => destroy(two))).toBeLessThanOrEqual(9);
    while ((await cluster.left()).length > 0) await delay(100);
    process.stdout.write(`${inspect(counted, { depth: 3, maxArrayLength: null, breakLength: 150 })}\n`);
  });

  it('that are refused tell nothing of our keys', async () => {
    // With a key of a client's own, which accounts of pods have not.
    cluster = await TestCluster.open('keys', {}, testKubeConfig());
    const driver = await cluster.driver();
    const key = config().users[0]?.user['client-key-data'] ?? '';
    expect(key.length).toBeGreaterThan(100);
    const request = { namespace: 'default', pod: 'no-such-pod', container: CONTAINER, command: ['true'] };
    const errors: unknown[] = [];
    const note = (error: unknown): void => void errors.push(error);
    await ExecStream.open(cluster.api, { ...request, stdin: true }).catch(note);
    await execute(cluster.api, request, 1_000).catch(note);
    await cluster.api.get('/api/v1/nope').catch(note);
    await cluster.api.stream('/api/v1/nope').catch(note);
    await driver.openTerminal(cluster.place(ONE), { sessionId: 'a', cols: 80, rows: 24 }).catch(note);
    expect(errors).toMatchObject([{ kind: 'gone' }, { kind: 'gone' }, { status: 404 }, { status: 404 }, { kind: 'gone' }]);
    const told = inspect([errors, cluster.told], { depth: Infinity, showHidden: true });
    const pem = Buffer.from(key, 'base64').toString('utf8');
    expect([told.includes(key), told.includes('PRIVATE KEY'), told.includes(pem.slice(40, 80))]).toEqual([false, false, false]);
  });
});

describe('a cluster', () => {
  it('is measured', async () => {
    cluster = await TestCluster.open('measure');
    const [connection] = cluster.clusters.connections;
    if (!connection) throw new Error('none');
    const inspector = new KubernetesInspector();
    const reading = await inspector.measure(connection, AbortSignal.timeout(10_000));
    expect(reading).toMatchObject({ version: expect.stringMatching(/^v1\./) as string, nodeCount: 1 });
    expect(reading.responseTimeMs).toBeGreaterThan(0);
    expect(reading.allocatable.memoryBytes).toBeGreaterThan(2 ** 29);
    expect(reading.allocatable.cpuMillis).toBeGreaterThanOrEqual(1000);
    const nobody = JSON.stringify({
      ...config(),
      users: config().users.map(({ name }) => ({ name, user: { token: 'nobody' } })),
    });
    await expect(inspector.measure({ ...connection, kubeConfig: nobody }, AbortSignal.timeout(10_000))).rejects.toMatchObject({
      kind: 'refused',
    });
    const nowhere = { ...connection, endpoint: 'https://127.0.0.1:1' };
    await expect(inspector.measure(nowhere, AbortSignal.timeout(10_000))).rejects.toMatchObject({ kind: 'unreachable' });
    expect(connection.clusterId).toBe(TEST_CLUSTER);
  });
});

function config(): { readonly users: readonly { readonly name: string; readonly user: Readonly<Record<string, string>> }[] } {
  return parse(testKubeConfig()) as ReturnType<typeof config>;
}

/** Calls without what differs from run to run; watches, which are shared by all environments, are left out. */
function brief(proxy: ApiProxy): readonly string[] {
  const namespace = namespaceOf('calls', 'u');
  return proxy.calls
    .filter(({ url }) => !url.includes('watch=true'))
    .map(
      ({ method, url }) =>
        `${method} ${
          url
            .split('?')[0]
            ?.replace(namespace, 'NS')
            .replace(/env-[0-9a-f]{24}/, 'ENV') ?? ''
        }`,
    );
}
