import { type ApiProxy, openProxy, serverKubeConfig } from '@testing/runtime-kubernetes';
import { ServerRig } from '../testing';

const ENVIRONMENTS = 6;
/** A lease that the killed server held, and what is left of the work. */
const TAKEN_OVER = { within: 60_000 };

describe('two servers on one database and one cluster', () => {
  const rig = new ServerRig();
  let proxy: ApiProxy;
  let ids: string[];
  /** Pods of an environment that were there at one time, by the cluster's own word. */
  const together = new Map<string, number>();
  let watching: Promise<void>;
  const over = new AbortController();

  beforeAll(async () => {
    if (!process.env.MONGODB_URL) throw new Error('MONGODB_URL names no database that outlives a server');
    await rig.start(2);
    proxy = await openProxy(serverKubeConfig());
    await rig.addCluster('shared', {}, proxy.kubeConfig);
    watching = rig.cluster.watchPods(over.signal, (environmentId, pods) => {
      together.set(environmentId, Math.max(pods, together.get(environmentId) ?? 0));
    });
  }, 60_000);
  afterAll(async () => {
    over.abort();
    await watching;
    await rig.close();
    await proxy.stop();
  }, 60_000);

  /** How often each incarnation's pod was written. */
  const written = (): Readonly<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { method, url } of proxy.calls) {
      const name = /\/pods\/(env-[0-9a-f]+-\d+)\?/.exec(url)?.[1];
      if (method === 'PATCH' && name) counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  };
  const both = <T>(work: (id: string, server: number) => Promise<T>): Promise<T[]> =>
    Promise.all(ids.map((id, at) => work(id, at % 2)));

  it('make, stop and start each environment once, whichever is asked', async () => {
    ids = await Promise.all(Array.from({ length: ENVIRONMENTS }, (_, at) => rig.create(`one-${at}`, {}, { server: at % 2 })));
    // Seen by the server that was not asked.
    await both((id, server) => rig.reachStatus(id, 'running', { server: 1 - server }));
    expect(written()).toEqual(Object.fromEntries(ids.map((id) => [`env-${id}-1`, 1])));

    // Stop and start at once, of both: one wish comes last, and that one is what is reached.
    await both((id, server) => rig.ask('POST', `/environments/${id}/stop`, undefined, { server }));
    await both((id, server) => rig.ask('POST', `/environments/${id}/start`, undefined, { server: 1 - server }).catch(() => null));
    await both((id) => rig.reach(id, ({ status, desired_status }) => status === desired_status));
    await both(async (id, server) => {
      const { status } = await rig.ask('GET', `/environments/${id}`, undefined, { server });
      if (status === 'stopped') await rig.ask('POST', `/environments/${id}/start`, undefined, { server });
      await rig.reachStatus(id, 'running');
    });
    expect(written()).toEqual(Object.fromEntries(ids.flatMap((id) => [`env-${id}-1`, `env-${id}-2`]).map((name) => [name, 1])));
    expect(ids.map((id) => together.get(id))).toEqual(ids.map(() => 1));
  });

  it('take over from each other when one is killed in the middle of its work', async () => {
    await both((id, server) => rig.ask('POST', `/environments/${id}/stop`, undefined, { server }));
    await both((id) => rig.reachStatus(id, 'stopped'));
    // Both hold leases now, with the first call of each start on its way.
    proxy.fate = ({ method }) => (method === 'PATCH' ? 'hold_call' : 'pass');
    await both((id, server) => rig.ask('POST', `/environments/${id}/start`, undefined, { server }));
    const starting = (): number => new Set(proxy.held.map(({ url }) => /env-([0-9a-f]+)/.exec(url)?.[1])).size;
    await rig.until(() => starting() === ENVIRONMENTS, 'not every start is on its way');
    await rig.servers[1]?.end('SIGKILL');
    proxy.fate = () => 'pass';
    proxy.cut();
    const began = performance.now();
    await both((id) => rig.reachStatus(id, 'running', TAKEN_OVER));
    process.stdout.write(`all run ${Math.round(performance.now() - began)} ms after the kill\n`);
    expect(ids.map((id) => together.get(id))).toEqual(ids.map(() => 1));
    const left = await rig.cluster.left();
    expect(left.filter((name) => name.startsWith('pods '))).toHaveLength(ENVIRONMENTS);

    await rig.servers[1]?.start();
    await both((id, server) => rig.ask('DELETE', `/environments/${id}`, undefined, { server }));
    await rig.untilEmpty();
    expect(ids.map((id) => together.get(id))).toEqual(ids.map(() => 1));
  });
});
