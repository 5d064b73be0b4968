import { type ApiProxy, openProxy } from '@testing/runtime-kubernetes';
import { LimitedAccount } from '../../../scripts/kubernetes/limited-account';
import { ServerRig } from '../testing';

describe('kubeconfigs of accounts that may not do everything', () => {
  const rig = new ServerRig();
  const accounts: LimitedAccount[] = [];
  const ids: string[] = [];
  let proxy: ApiProxy;

  beforeAll(() => rig.start(), 60_000);
  afterAll(async () => {
    await rig.close();
    await proxy.stop();
    for (const account of accounts) await account.remove();
  }, 60_000);

  /** A cluster, the default of its region, by an account that lacks these rights; and an environment in it. */
  async function withoutRights(name: string, ...lacking: string[]) {
    const account = await LimitedAccount.open(`devpocket-rights-${name}`, lacking);
    accounts.push(account);
    const clusterId = await rig.addCluster(name, {}, await account.kubeConfig());
    const id = await rig.create(name);
    ids.push(id);
    return { account, clusterId, id };
  }
  const health = (clusterId: string) => rig.ask('GET', `/clusters/${clusterId}/health`);
  const unhealthy = (what: string) => ({ status: 'unhealthy', error_message: `The account lacks rights: ${what}` });

  it('that has all of them is healthy', async () => {
    const { clusterId, id } = await withoutRights('whole');
    await rig.reachStatus(id, 'running');
    expect(await health(clusterId)).toMatchObject({ status: 'healthy', error_message: null, node_count: 1 });
  });

  it('to make pods: a start fails and says so', async () => {
    const { clusterId, id } = await withoutRights('podless', 'create pods', 'patch pods');
    const failed = await rig.reachStatus(id, 'error');
    expect(failed).toMatchObject({ status_reason: 'internal', retryable: true });
    expect(failed.status_message).toMatch(/pods ".*" is forbidden: User ".*podless" cannot patch resource "pods"/);
    expect(await health(clusterId)).toMatchObject(unhealthy('create, patch pods'));
    expect(await rig.history(id)).toEqual(['creating', 'error internal']);
  });

  it('to see events: environments run, and the cluster is said to be unhealthy', async () => {
    const { clusterId, id } = await withoutRights('eventless', 'list events', 'watch events');
    await rig.reachStatus(id, 'running');
    expect(await health(clusterId)).toMatchObject(unhealthy('list, watch events'));
  });

  it('to watch pods: nothing is concluded, what is missing is told of the cluster, and given it goes on', async () => {
    const { account, clusterId, id } = await withoutRights('blind', 'watch pods');
    const waiting = await rig.reach(id, ({ status_reason }) => status_reason !== null);
    expect(waiting).toMatchObject({ status: 'creating', status_reason: 'runtime_unreachable' });
    expect(await health(clusterId)).toMatchObject(unhealthy('watch pods'));
    await account.grant();
    await rig.reachStatus(id, 'running');
    expect(await rig.history(id)).toEqual(['creating', 'creating runtime_unreachable', 'creating', 'running']);
  });

  it('to run programs in pods: terminals are refused by name, and the environment runs on', async () => {
    const { clusterId, id } = await withoutRights('shellless', 'get pods/exec', 'create pods/exec');
    await rig.reachStatus(id, 'running');
    const refused = await (await rig.shell(id)).told('error');
    expect(refused).toMatchObject({ code: 'unavailable' });
    expect(refused.message).toContain('resource "pods/exec"');
    expect(await rig.ask('GET', `/environments/${id}`)).toMatchObject({ status: 'running', status_reason: null });
    expect(await health(clusterId)).toMatchObject(unhealthy('get, create pods/exec'));
  });

  it('to ask kubelets: usage is asked of metrics.k8s.io', async () => {
    const account = await LimitedAccount.open('devpocket-rights-usage', []);
    accounts.push(account);
    proxy = await openProxy(await account.kubeConfig());
    await rig.addCluster('usage', {}, proxy.kubeConfig);
    const id = await rig.create('usage');
    ids.push(id);
    await rig.reachStatus(id, 'running');
    // A sample is taken each minute.
    const asked = (): readonly string[] => proxy.calls.map(({ url }) => url).filter((url) => /summary|metrics/.test(url));
    await rig.until(() => asked().some((url) => url.startsWith('/apis/metrics.k8s.io/')), 'metrics were not asked', 90_000);
    expect(asked()[0]).toMatch(/^\/api\/v1\/nodes\/.*\/proxy\/stats\/summary$/);
    expect(await rig.ask('GET', `/environments/${id}`)).toMatchObject({ status: 'running', cpu_usage: null });
  });

  it('let what runs there be deleted, and none of their tokens is in what was said', async () => {
    await Promise.all(ids.map((id) => rig.remove(id)));
    await rig.untilEmpty();
    const told = rig.said.join('\n') + (await rig.dump());
    expect(told).toContain('lacks rights');
    const kubeConfigs = await Promise.all(accounts.map((account) => account.kubeConfig()));
    const tokens = kubeConfigs.map((text) => /"token":"([^"]+)"/.exec(text)?.[1] ?? '');
    expect(tokens.map((token) => [token.length > 100, told.includes(token)])).toEqual(tokens.map(() => [true, false]));
  });
});
