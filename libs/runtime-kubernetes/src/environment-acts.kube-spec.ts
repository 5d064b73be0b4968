import { setTimeout as delay } from 'node:timers/promises';
import { type ApiCall, type ApiProxy, type Fate, reach, TestCluster } from '../testing';
import { pathOf } from './api-client';
import { BINDING_MS } from './environment-acts';
import { type KubernetesDriver } from './kubernetes.driver';
import { namespaceOf } from './names';

const ID = '0123456789abcdef0000ac01';

describe('environments that are deleted at once', () => {
  it('take the namespace of their user with them', async () => {
    const cluster = await TestCluster.open('atonce');
    try {
      const driver = await cluster.driver();
      const specs = ['1', '2', '3'].map((last) => cluster.spec(ID.slice(0, -1) + last, 1));
      for (const spec of specs) await driver.start(spec);
      await Promise.all(specs.map((spec) => driver.destroy(spec)));
      for (const spec of specs) await reach(driver, spec, 'absent');
      while ((await cluster.left()).length > 0) await delay(100);
    } finally {
      await cluster.close();
    }
  }, 60_000);

  it('and so do those that others deleted meanwhile, unheard', async () => {
    const cluster = await TestCluster.open('unheard');
    try {
      const proxy = await cluster.proxied();
      const driver = await cluster.driver();
      const [one, two] = [cluster.spec(ID, 1), cluster.spec(ID.slice(0, -1) + '2', 1)];
      for (const spec of [one, two]) {
        await driver.start(spec);
        await reach(driver, spec, 'running');
      }
      // The watches, and the lists that they begin with.
      proxy.fate = ({ url }) => (/^\/api\/v1\/\w+\?/.test(url) ? 'hold_call' : 'pass');
      proxy.cut('watches');
      await cluster.api.delete(pathOf('PersistentVolumeClaim', 'v1', namespaceOf('unheard', 'u'), `env-${ID}`));
      await cluster.rob(ID);
      await driver.destroy(two);
      while ((await cluster.left()).length > 0) await delay(100);
    } finally {
      await cluster.close();
    }
  }, 60_000);
});

describe('a volume that is made', () => {
  it.each([
    ['at once, comes before its pod', null],
    ['for its pod, does not keep it waiting', 'standard-wait'],
  ])('%s', async (_what, storageClass) => {
    const cluster = await TestCluster.open('binding', { storageClass });
    try {
      const driver = await cluster.driver();
      const took: number[] = [];
      for (const last of ['1', '2', '3']) {
        const spec = cluster.spec(ID.slice(0, -1) + last, 1);
        await driver.look(spec);
        const begun = performance.now();
        await driver.start(spec);
        took.push(performance.now() - begun);
        await reach(driver, spec, 'running');
      }
      const query = { fieldSelector: 'reason=FailedScheduling' };
      const events = pathOf('Event', 'v1', namespaceOf('binding', 'u'));
      // The scheduler puts back for a second and more what comes too early.
      if (storageClass === null) expect((await cluster.api.list(events, { query })).items).toEqual([]);
      else expect(Math.max(...took)).toBeLessThan(BINDING_MS);
    } finally {
      await cluster.close();
    }
  });
});

describe('a pod that the API refuses to make', () => {
  let cluster: TestCluster;
  let proxy: ApiProxy;
  let driver: KubernetesDriver;
  beforeAll(async () => {
    cluster = await TestCluster.open('acts');
    proxy = await cluster.proxied();
    driver = await cluster.driver();
  });
  afterAll(() => cluster.close());

  it.each<[string, Fate, string, string]>([
    ['is refused for good only when it is not there', 'pass', 'invalid', 'refused'],
    ['leaves nothing known when the API does not say whether it is there', 'lose_call', 'unreachable', 'socket hang up'],
  ])('%s', async (_what, fateOfRead, kind, message) => {
    const isPod = ({ url }: ApiCall): boolean => url.includes(`/pods/env-${ID}-1`);
    let refused = false;
    proxy.fate = (call) => {
      if (!isPod(call)) return 'pass';
      if (call.method === 'GET') return refused ? fateOfRead : 'pass';
      refused = true;
      return 422;
    };
    await expect(driver.start(cluster.spec(ID, 1))).rejects.toMatchObject({
      kind,
      message: expect.stringContaining(message) as string,
    });
    expect(refused).toBe(true);
    proxy.fate = () => 'pass';
  });
});
