import { type ApiCall, ApiProxy, TestCluster } from '@testing/runtime-kubernetes';
import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesWorld } from './kubernetes-world';

/** What is asked for a cluster, however many environments there are: watches, each node's stats, health and the sweep. */
const OF_THE_CLUSTER = [
  /[?&]watch=true/,
  /\/nodes\/[^/]+\/proxy\/stats\/summary$/,
  /^\/version$/,
  /^\/api\/v1\/nodes\?/,
  /^\/api\/v1\/pods\?.*status\.phase/,
  /^\/api\/v1\/(secrets|services|namespaces)\?/,
];

/** Calls that the server makes of the API for each environment, counted by a proxy. */
export async function countCalls(count: number, settleMs: number, idleMs: number): Promise<void> {
  const cluster = await TestCluster.open('calls');
  const proxy = await ApiProxy.open(cluster.api.credentials);
  const world = await KubernetesWorld.open(cluster, proxy.kubeConfig);
  const during = async (work: () => Promise<unknown>): Promise<readonly ApiCall[]> => {
    proxy.calls.length = 0;
    await work();
    return proxy.calls.filter(({ url }) => !OF_THE_CLUSTER.some((one) => one.test(url)));
  };
  try {
    const ids: string[] = [];
    const each = (work: (id: string) => Promise<unknown>) => during(() => Promise.all(ids.map(work)));
    const act = (action: string, status: string) =>
      each(async (id) => {
        await world.client.request('POST', `/environments/${id}/${action}`);
        await world.reach(id, status);
      });
    const created = await during(async () => {
      const names = Array.from({ length: count }, (_, at) => `c${at}`);
      ids.push(...(await Promise.all(names.map((name) => world.create(name)))));
      await Promise.all(ids.map((id) => world.reach(id, 'running')));
    });
    say(`calls of the API, each of ${count} environments at once (watches, stats of nodes, health and sweep apart)`);
    tell('create', created, count);
    tell('stop', await act('stop', 'stopped'), count);
    tell('start', await act('start', 'running'), count);
    // After a start each volume is counted once where the kubelet does not tell, four a minute.
    await delay(settleMs);
    const idle = (await during(() => delay(idleMs))).filter(({ url }) => settleMs > 0 || !url.includes('command=du'));
    say(`  idle      ${((idle.length / count) * (3_600_000 / idleMs)).toFixed(1)} an hour (${idleMs / 1000} s)`);
    for (const { method, url } of idle) say(`            ${method} ${url}`);
    if (idle.length > 0) process.exitCode = 1;
    tell('delete', await during(() => world.clear()), count);
  } finally {
    await world.close();
    await proxy.stop();
    await cluster.close();
  }
}

function tell(what: string, calls: readonly ApiCall[], count: number): void {
  say(`  ${what.padEnd(8)}  ${(calls.length / count).toFixed(1)}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
