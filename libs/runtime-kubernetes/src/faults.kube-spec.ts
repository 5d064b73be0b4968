import { type Sighting } from '@devpocket/runtime';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { reach, TestCluster } from '../testing';
import { pathOf } from './api-client';
import { type KubernetesDriver } from './kubernetes.driver';
import { namespaceOf } from './names';

const ID = '0123456789abcdef0123fa00';

/** A registry that has nothing, or lets nobody in. */
function registry(status: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((request, response) => {
      const challenge = status === 401 ? { 'www-authenticate': 'Basic realm="test"' } : {};
      response.writeHead(request.url === '/v2/' ? 200 : status, { 'content-type': 'application/json', ...challenge });
      response.end('{"errors":[{"code":"X","message":"refused"}]}');
    });
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/** What the whole server makes of the rest is in `apps/api/src/kubernetes-faults.kube-spec.ts`. */
describe('what goes wrong in a cluster', () => {
  let cluster: TestCluster;
  let driver: KubernetesDriver;

  beforeEach(async () => {
    cluster = await TestCluster.open('faults');
    driver = await cluster.driver();
  });
  afterEach(() => cluster.close());
  const place = () => cluster.place(ID);
  /** Every end can be deleted. */
  const destroyed = async (): Promise<void> => {
    await driver.destroy(place());
    await reach(driver, place(), 'absent');
  };

  it('images of registries that have them not, let nobody in, or are out of order', async () => {
    const expected: readonly (readonly [number, object])[] = [
      [404, { reason: 'image_not_found', retryable: false }],
      [401, { reason: 'image_auth_failed', retryable: false }],
      [503, { reason: 'image_pull_failed', retryable: true }],
    ];
    const servers = await Promise.all(expected.map(([status]) => registry(status)));
    try {
      const specs = servers.map((server, at) => {
        const image = `127.0.0.1:${(server.address() as AddressInfo).port}/nope:1`;
        return cluster.spec(`${ID.slice(0, -1)}${at}`, 1, { image });
      });
      await Promise.all(specs.map((spec) => driver.start(spec)));
      const seen = await Promise.all(specs.map((spec) => reach(driver, spec, 'failed', { within: 60_000 })));
      expect(seen).toMatchObject(expected.map(([, sighting]) => sighting));
    } finally {
      for (const server of servers) server.close();
    }
  });

  it('variables, port and log of what has neither pod nor volume any more are seen, and go', async () => {
    const spec = cluster.spec(ID, 1, { defaultPort: 8080, environmentVariables: { A: 'b' } });
    await driver.start(spec);
    await reach(driver, place(), 'running');
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    await reach(driver, place(), 'stopped');
    const namespace = namespaceOf('faults', 'u');
    await cluster.api.delete(pathOf('PersistentVolumeClaim', 'v1', namespace, `env-${ID}`));
    await reach(driver, place(), 'absent');
    const ours = async (): Promise<readonly string[]> => (await cluster.left()).filter((name) => name.includes(ID)).sort();
    expect(await ours()).toEqual([`secrets env-${ID}`, `secrets env-${ID}-log-0`, `services env-${ID}`]);
    expect(await driver.list()).toEqual([{ ...place(), install: 'faults' }]);
    await driver.destroy(place());
    expect(await ours()).toEqual([]);
    expect(await driver.list()).toEqual([]);
  });

  it('more than the quota is refused by name', async () => {
    const resources = { cpuMillis: 100, memoryBytes: 32 * 2 ** 20, storageBytes: 2 ** 20 };
    const quota = { active: 1, kept: 1, each: { ...resources, cpuMillis: 10 } };
    await expect(driver.start(cluster.spec(ID, 1, { resources, quota }))).rejects.toMatchObject({
      kind: 'refused',
      reason: 'quota_exceeded',
    });
    expect((await driver.look(place())).seen).toBe('stopped');
    await destroyed();
  });
});

describe('a cluster that does not answer', () => {
  let cluster: TestCluster;
  afterEach(() => cluster.close());

  it('changes no status, and is seen again without a restart', async () => {
    cluster = await TestCluster.open('unreachable');
    const proxy = await cluster.proxied();
    const driver = await cluster.driver();
    const place = cluster.place(ID);
    await driver.start(cluster.spec(ID, 1));
    await reach(driver, place, 'running');
    await proxy.stop();
    const noticed = async (): Promise<unknown> => {
      for (;;) {
        await driver.look(place);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await expect(noticed()).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.check(AbortSignal.timeout(5_000))).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.start(cluster.spec(ID, 2))).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.stop(place, { incarnation: 1, graceMs: 0, kill: true })).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.destroy(place)).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.openTerminal(place, { sessionId: 'b', cols: 80, rows: 24 })).rejects.toMatchObject({
      kind: 'unreachable',
    });
    expect((await driver.usage([place])).size).toBe(0);
    await cluster.api.delete(pathOf('Pod', 'v1', namespaceOf('unreachable', 'u'), `env-${ID}-1`), { graceSeconds: 1 });
    await proxy.start();
    const seen: Sighting['seen'][] = [];
    for (let end = performance.now() + 30_000; performance.now() < end && seen.at(-1) !== 'stopped';) {
      const sighting = await driver.look(place).catch(() => null);
      if (sighting && sighting.seen !== seen.at(-1)) seen.push(sighting.seen);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(seen.filter((one) => one !== 'running')).toEqual(['stopping', 'stopped'].slice(seen.includes('stopping') ? 0 : 1));
  });
});
