import { DomainError, REGIONS, type Region } from '@devpocket/kernel';
import { ClusterDirectory, RuntimeError } from '@devpocket/runtime';
import { addition, ClustersWorld, SOMEBODY } from '@testing/clusters';
import { testSettings } from '@testing/config';
import { KUBE_SECRETS, kubeConfig } from '@testing/runtime';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { ClusterHealthService } from './cluster-health.service';
import { ClusterRepository } from './cluster.repository';
import { ClustersService } from './clusters.service';
import { KeyRotationService } from './key-rotation.service';

const codeOf = (error: unknown): string => (error instanceof DomainError ? error.code : String(error));
const WHOLE = { limit: 100, after: null };

describe('clusters', () => {
  let world: ClustersWorld;
  beforeAll(async () => (world = await ClustersWorld.open()));
  beforeEach(() => world.clear());
  afterAll(() => world.close());

  const service = (): ClustersService => world.get(ClustersService);
  const directory = (): ClusterDirectory => world.get(ClusterDirectory);
  const add = (name: string, more: Parameters<typeof addition>[1] = {}): ReturnType<ClustersService['add']> =>
    service().add(SOMEBODY, addition(name, more), null);

  it('of one name are one, however many add it at once', async () => {
    const answers = await Promise.all(['One', 'one', 'ONE'].map((name) => add(name).catch(codeOf)));
    expect(answers.filter((answer) => answer === 'name_taken')).toHaveLength(2);
  });

  it('asked for again under one key are one, and the default that was asked for', async () => {
    const wanted = addition('one', { isDefault: true });
    const [first, second] = await Promise.all([1, 2].map(() => service().add(SOMEBODY, wanted, 'scope')));
    expect(second?.id).toBe(first?.id);
    await world.database.connection.collection('cluster_defaults').deleteMany({}); // as after a crash between the two writes
    expect(await service().add(SOMEBODY, wanted, 'scope')).toMatchObject({ id: first?.id, isDefault: true });
  });

  it.each<[string, Parameters<typeof addition>[1], string]>([
    ['an endpoint with a password', { endpoint: 'https://a:b@10.0.0.1' }, 'endpoint'],
    ['an endpoint without TLS', { endpoint: 'http://10.0.0.1' }, 'endpoint'],
    ['a server without TLS', { kubeConfig: kubeConfig({ server: 'http://10.0.0.1' }) }, 'kube_config'],
    ['a server with a password', { kubeConfig: kubeConfig({ server: 'https://a:b@10.0.0.1' }) }, 'kube_config'],
    ['a plugin', { kubeConfig: kubeConfig({ user: '{ exec: { command: sh } }' }) }, 'kube_config'],
  ])('are refused with %s', async (_what, more, field) => {
    await expect(add('one', more)).rejects.toMatchObject({ kind: 'invalid', errors: [{ field }] });
  });

  it('change in what is named, and a connection is told to be new only when it is', async () => {
    const { id } = await add('one', { description: 'first' });
    const revision = async (): Promise<number | undefined> => (await directory().find(id))?.revision;
    await service().change(SOMEBODY, id, { description: null, maxEnvironments: 5, status: 'maintenance' });
    expect(await service().get(id)).toMatchObject({ description: null, maxEnvironments: 5, status: 'maintenance', name: 'one' });
    expect(await revision()).toBe(1);
    await service().change(SOMEBODY, id, { options: { nodeSelector: { 'kubernetes.io/arch': 'arm64' } } });
    await service().change(SOMEBODY, id, { endpoint: 'https://10.9.9.9' });
    await service().change(SOMEBODY, id, { kubeConfig: kubeConfig({ current: 'other' }) });
    expect(await directory().find(id)).toMatchObject({
      revision: 4,
      kubeConfig: kubeConfig({ current: 'other' }),
      endpoint: 'https://10.9.9.9',
      options: { nodeSelector: { 'kubernetes.io/arch': 'arm64' }, cpuRequestPercent: 5 },
    });
    await service().change(SOMEBODY, id, { endpoint: null });
    expect((await service().get(id)).endpoint).toBe('https://10.0.0.2:6443');
  });

  it('go when they are empty, and stay as they were when they are not', async () => {
    const { id } = await add('one', { isDefault: true });
    world.usage.environments.set(id, 2);
    await expect(service().remove(SOMEBODY, id)).rejects.toMatchObject({ code: 'cluster_in_use' });
    expect(await service().get(id)).toMatchObject({ status: 'active', environmentsCount: 2, isDefault: true });
    world.usage.environments.clear();
    await service().remove(SOMEBODY, id);
    await expect(service().get(id)).rejects.toMatchObject({ code: 'not_found' });
    expect(await directory().find(id)).toBeNull();
  });

  it('have no secret in an audit row, and none in the clear at rest', async () => {
    const { id } = await add('one');
    await service().change(SOMEBODY, id, { kubeConfig: kubeConfig() });
    await service().remove(SOMEBODY, (await add('two')).id);
    const { connection } = world.database;
    const rows = await connection.collection('audit_entries').find({}).toArray();
    expect(rows.map(({ action }) => String(action)).sort()).toEqual(
      ['cluster.added', 'cluster.added', 'cluster.changed', 'cluster.removed'].sort(),
    );
    const kept = JSON.stringify([rows, await connection.collection('clusters').find({}).toArray()]);
    for (const secret of KUBE_SECRETS) {
      expect(kept).not.toContain(secret);
      expect(kept).not.toContain(Buffer.from(secret).toString('base64').slice(0, 12));
    }
  });

  describe('of a region', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const region = fc.constantFrom<Region>('us-east', 'us-west');
    const act = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), name, region, isDefault: fc.boolean() }),
      fc.record({ kind: fc.constant('default' as const), name, isDefault: fc.boolean() }),
      fc.record({ kind: fc.constant('move' as const), name, region }),
      fc.record({ kind: fc.constant('remove' as const), name }),
    );
    type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

    const perform = async (one: Act): Promise<void> => {
      if (one.kind === 'add') {
        await add(one.name, { region: one.region, isDefault: one.isDefault });
        return;
      }
      const id = (await service().findByName(one.name))?.id;
      if (id === undefined) return;
      if (one.kind === 'remove') await service().remove(SOMEBODY, id);
      else if (one.kind === 'move') await service().change(SOMEBODY, id, { region: one.region });
      else await service().change(SOMEBODY, id, { isDefault: one.isDefault });
    };
    const refused = (error: unknown): void => {
      if (!(error instanceof DomainError)) throw error;
    };

    it('one is the default: the last that was named, while it is there', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(act, { maxLength: 12 }), async (acts) => {
          await world.clear();
          const regions = new Map<string, Region>();
          const defaults = new Map<Region, string>();
          const unname = (who: string): void => {
            for (const [where, named] of defaults) if (named === who) defaults.delete(where);
          };
          for (const one of acts) {
            const known = regions.get(one.name);
            await perform(one).catch(refused);
            if (one.kind === 'add' && known === undefined) {
              regions.set(one.name, one.region);
              if (one.isDefault) defaults.set(one.region, one.name);
            } else if (one.kind === 'move' && known !== undefined && known !== one.region) {
              regions.set(one.name, one.region);
              unname(one.name);
            } else if (one.kind === 'default' && known !== undefined) {
              if (one.isDefault) defaults.set(known, one.name);
              else unname(one.name);
            } else if (one.kind === 'remove') {
              regions.delete(one.name);
              unname(one.name);
            }
            const { items } = await service().list(null, WHOLE);
            const shown = items.filter(({ isDefault }) => isDefault).map((each) => [each.region, each.name]);
            expect(shown.sort()).toEqual([...defaults].sort());
          }
        }),
        { numRuns: 20 },
      );
    });

    it('never two are the default, however many are named at once', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(act, { minLength: 2, maxLength: 5 }), { maxLength: 5 }), async (rounds) => {
          await world.clear();
          for (const which of ['a', 'b', 'c']) await add(which, { isDefault: true });
          for (const round of rounds) {
            const looks = round.map(async (one) => {
              await perform(one).catch(refused);
              const { items } = await service().list(null, WHOLE);
              for (const where of REGIONS)
                expect(items.filter((each) => each.isDefault && each.region === where).length).toBeLessThanOrEqual(1);
            });
            await Promise.all(looks);
          }
        }),
        { numRuns: 20 },
      );
    });
  });

  it('are measured, and what cannot be measured is not made up', async () => {
    const { id } = await add('one');
    const health = world.get(ClusterHealthService);
    expect(await health.measure(id)).toMatchObject({
      error: null,
      reading: { responseTimeMs: 5, nodeCount: 1, available: { cpuMillis: 3_500 } },
    });
    world.inspector.readings.set('one', new RuntimeError('unreachable', 'connect ECONNREFUSED'));
    expect(await health.measure(id)).toMatchObject({ error: 'connect ECONNREFUSED', reading: null });
    expect(await service().get(id)).toMatchObject({ reachable: false, capacity: { others: { cpuMillis: 500 } } });
    world.inspector.readings.set('one', new TypeError(`key ${KUBE_SECRETS[1]}`));
    const told = await health.measure(id);
    expect(told.error).toBe('It could not be measured (TypeError)');
  });

  it('are all measured, though one does not answer', async () => {
    await add('one');
    await add('two');
    world.inspector.readings.set('one', new RuntimeError('unreachable', 'no'));
    await world.get(ClusterHealthService).measureAll();
    const { items } = await service().list(null, WHOLE);
    expect(Object.fromEntries(items.map(({ name, reachable }) => [name, reachable]))).toEqual({ one: false, two: true });
  });

  it('of a pod are registered once, and stay as an administrator left them', async () => {
    const settings = testSettings({ DATA_DIR: tmpdir(), CLUSTER_NAME: 'home', CLUSTER_DEFAULT: 'true' });
    const own = { ...settings, clusters: { ...settings.clusters, ownApiServer: 'https://10.96.0.1:443' } };
    const inside = await ClustersWorld.open(own);
    try {
      const upkeep = inside.upkeep();
      await Promise.all([upkeep.registerOwn(), upkeep.registerOwn()]);
      const cluster = await inside.get(ClustersService).findByName('home');
      expect(cluster).toMatchObject({ endpoint: 'https://10.96.0.1:443', isDefault: true, region: 'us-east' });
      await inside.get(ClustersService).change(SOMEBODY, cluster?.id ?? '', { name: 'renamed', status: 'maintenance' });
      await upkeep.registerOwn();
      expect(await inside.get(ClusterDirectory).list()).toMatchObject([{ name: 'renamed', kubeConfig: null, endpoint: null }]);
    } finally {
      await inside.close();
    }
  });

  describe('with a new key', () => {
    const [first, second, third] = [0, 1, 2].map(() => randomBytes(32).toString('hex'));
    const settings = (key: string | undefined, old: readonly (string | undefined)[] = []): ReturnType<typeof testSettings> => {
      const made = testSettings({ DATA_DIR: tmpdir() });
      const bytes = (text = ''): Buffer => Buffer.from(text, 'hex');
      return { ...made, encryption: { encryptionKey: bytes(key), oldEncryptionKeys: old.map(bytes) } };
    };
    const opened = async (): Promise<number> => (await directory().list()).length;

    it('are sealed anew, all of them in the end, whenever a rotation breaks off', async () => {
      const names = ['a', 'b', 'c'];
      for (let breaks = 0; breaks <= names.length; breaks += 1) {
        await world.clear();
        await world.restart(settings(first));
        for (const name of names) await add(name);
        await world.restart(settings(second, [first]));
        let left = breaks;
        const repository = world.get(ClusterRepository);
        const reseal = repository.reseal.bind(repository);
        repository.reseal = (...args) => {
          left -= 1;
          return left < 0 ? Promise.reject(new Error('killed')) : reseal(...args);
        };
        await world
          .get(KeyRotationService)
          .rotate()
          .catch(() => undefined);
        expect(await opened()).toBe(names.length);
        repository.reseal = reseal;
        const { renewed, current, unopened } = await world.get(KeyRotationService).rotate();
        expect([renewed.length, current.length, unopened.length]).toEqual([names.length - breaks, breaks, 0]);
        await world.restart(settings(second));
        expect(await opened()).toBe(names.length);
      }
    });

    it('are left alone where the key they are under is not given, and hide no other', async () => {
      await world.restart(settings(first));
      const { id } = await add('a');
      await world.restart(settings(third));
      await add('b');
      const { unopened, current } = await world.get(KeyRotationService).rotate();
      expect([unopened.map(({ name }) => name), current]).toEqual([['a'], ['b']]);
      expect((await directory().list()).map(({ name }) => name)).toEqual(['b']);
      await expect(directory().find(id)).rejects.toMatchObject({ kind: 'unreachable' });
      await world.restart(settings(first, [third]));
      expect(await opened()).toBe(2);
    });
  });

  it('cannot be added without a runtime for them', async () => {
    await world.restart(testSettings({ DATA_DIR: tmpdir() }), null);
    await expect(add('one')).rejects.toMatchObject({ code: 'runtime_not_available' });
  });
});
