import { type EnvironmentSpec } from '@devpocket/runtime';
import { type KubernetesDriver, KubernetesInspector } from '@devpocket/runtime-kubernetes';
import { neededRights, reach, TEST_IMAGE, TestCluster } from '@testing/runtime-kubernetes';
import { apply, remove, type Rendered } from './kustomize';
import { ServerAccount } from './server-account';

const ID = '0123456789abcdef0000aa01';
/** A cluster of before 1.35 does not ask for it, see rights/environments.yaml. */
const NOT_ASKED_YET = ['pods/exec create'];
/** Tried, and done without where it is refused: a component gives it. */
const OPTIONAL = ['nodes/proxy get'];
/** Given, and done without: usage in a cluster that has figures. */
const USAGE = ['metrics.k8s.io/pods list'];

const sorted = (rights: Iterable<string>): readonly string[] => [...rights].sort();
const without = (rights: Iterable<string>, others: Iterable<string>): readonly string[] => {
  const left = new Set(others);
  return sorted(rights).filter((right) => !left.has(right));
};

describe('the rights that the manifests give a server', () => {
  let account: ServerAccount;
  let cluster: TestCluster;
  let driver: KubernetesDriver;
  const place = () => cluster.place(ID);

  async function open(name: string, components: readonly string[] = [], imagePullSecrets: readonly string[] = []): Promise<void> {
    account = await ServerAccount.open(`devpocket-test-${name}-${process.pid}`, components);
    cluster = await TestCluster.open(`${name}${process.pid}`, { imagePullSecrets }, account.kubeConfig);
    driver = await cluster.driver();
  }
  afterEach(async () => {
    await driver.close({ keepTerminals: false });
    await cluster.close();
    await account.close();
  });

  /** Whatever a driver does, once. */
  async function live(): Promise<void> {
    const spec: EnvironmentSpec = cluster.spec(ID, 1, {
      defaultPort: 8080,
      environmentVariables: { A: 'b' },
      startupCommands: ['echo begun'],
    });
    await driver.start(spec);
    await reach(driver, place(), 'running');
    const told: unknown[] = [];
    const shell = await driver.openTerminal(place(), { sessionId: 'a', cols: 80, rows: 24 });
    shell.attach(() => undefined);
    await shell.write(Buffer.from('exit 3\n'));
    expect(await shell.ended).toMatchObject({ code: 3 });
    const query = { lines: 10, since: null, after: null, follow: false };
    for await (const event of driver.logs(place(), query, new AbortController().signal)) told.push(event);
    expect(told).toContainEqual(expect.objectContaining({ message: 'begun' }));
    await driver.usage([place()]);
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    await reach(driver, place(), 'stopped');
    // A pod of that name which is not as it should be is looked at, not taken for a refusal.
    const [{ metadata: namespace } = {}] = await cluster.namespaces();
    const odd: Rendered = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `env-${ID}-2`, namespace: namespace?.name ?? '' },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'odd', image: TEST_IMAGE, command: ['sleep', '1000'] }] },
    };
    await apply([odd]);
    await driver.start({ ...spec, incarnation: 2 });
    await remove([odd]);
    await driver.start({ ...spec, incarnation: 2 });
    await reach(driver, place(), 'running');
    expect(await driver.list()).toHaveLength(1);
    const [connection] = cluster.clusters.connections;
    if (connection) await new KubernetesInspector().measure(connection, AbortSignal.timeout(10_000));
    await driver.destroy(place());
    await reach(driver, place(), 'absent');
  }

  it('are those that are used: none is missing, none is too many', async () => {
    await open('rights');
    // What ends it early is best told by the right that was missing.
    const failure: unknown = await live().then(
      () => null,
      (error: unknown) => error,
    );
    const used = new Set([...account.used, ...NOT_ASKED_YET]);
    expect({ missing: without(used, [...account.granted, ...OPTIONAL]), failure }).toEqual({ missing: [], failure: null });
    expect({ tooMany: without(account.granted, used) }).toEqual({ tooMany: [] });
    expect(without(used, account.granted)).toEqual(OPTIONAL);
    // What the driver misses in an account that lacks it.
    expect(sorted(account.granted)).toEqual(sorted([...neededRights(), ...USAGE]));
  });

  it('are more by those of a component, which are used too', async () => {
    await open('more', ['kubelet-usage', 'image-pull-secrets'], ['registry']);
    await apply([
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'registry', namespace: account.namespace },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': '{"auths":{}}' },
      },
    ]);
    await driver.start(cluster.spec(ID, 1));
    await reach(driver, place(), 'running');
    await driver.usage([place()]);
    expect(without(account.used, account.granted)).toEqual([]);
    expect(sorted(account.used)).toEqual(expect.arrayContaining(['in its own namespace: secrets get', 'nodes/proxy get']));
  });
});
