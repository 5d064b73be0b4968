import { type ClusterActor, ClusterHealthService, ClusterPlacement, ClustersService, DEFAULT_OPTIONS } from '@devpocket/clusters';
import { DomainError, type Region } from '@devpocket/kernel';
import { UsersService } from '@devpocket/users';
import { EnvironmentsWorld, principal } from '@testing/environments';
import { kubeConfig } from '@testing/runtime';
import fc from 'fast-check';
import { type Environment } from './environment';
import { EnvironmentRepository } from './environment.repository';
import { EnvironmentsService } from './environments.service';
import { LifecycleService } from './lifecycle.service';
import { freePlace } from './place.policy';

const REPLICAS = 2;
const GIB = 2 ** 30;
const NOBODY: ClusterActor = { userId: null, ip: null, requestId: null };

const orRefused = <T>(answer: Promise<T>): Promise<T | string> =>
  answer.catch((error: unknown) => {
    if (error instanceof DomainError) return error.code;
    throw error;
  });

describe('the placement of environments in clusters', () => {
  let world: EnvironmentsWorld;
  beforeAll(async () => (world = await EnvironmentsWorld.open(REPLICAS, 'kubernetes')));
  beforeEach(async () => {
    await world.clear();
    world.inspector.readings.clear();
  });
  afterAll(() => world.close());

  const clusters = (replica = 0): ClustersService => world.get(ClustersService, replica);
  const add = async (
    name: string,
    more: { readonly region?: Region; readonly isDefault?: boolean; readonly maxEnvironments?: number } = {},
  ): Promise<string> => {
    const { region = 'us-east', isDefault = false, maxEnvironments = 100 } = more;
    const plain = { kubeConfig: kubeConfig(), endpoint: null, description: null, options: DEFAULT_OPTIONS };
    return (await clusters().add(NOBODY, { name, region, isDefault, maxEnvironments, ...plain }, null)).id;
  };
  const count = async (id: string): Promise<number> => (await clusters().get(id)).environmentsCount;
  const create = (name = 'one', region: Region | null = null, user = principal('admin'), replica = 0) =>
    orRefused(world.create(user, name, replica, region));
  const where = async (...args: Parameters<typeof create>): Promise<string | null> => {
    const made = await create(...args);
    return typeof made === 'string' ? made : made.clusterId;
  };

  it('takes the default of the region, and keeps where it went', async () => {
    await add('a');
    const id = await add('b', { isDefault: true });
    const user = principal();
    const made = (await create('one', 'us-east', user)) as Environment;
    expect(made).toMatchObject({ clusterId: id, region: 'us-east', runtimeKind: 'kubernetes' });
    await world.turns(4, 50);
    expect((await world.get(EnvironmentsService).get(user, made.id)).shown.status).toBe('running');
    expect(await world.driver.list()).toMatchObject([{ environmentId: made.id, clusterId: id }]);
    expect(await count(id)).toBe(1);
  });

  it('spreads over clusters that are alike', async () => {
    const ids = [await add('a'), await add('b')];
    for (const name of ['a', 'b', 'c', 'd']) await create(name);
    expect(await Promise.all(ids.map(count))).toEqual([2, 2]);
  });

  it('answers that no cluster is available, with a time to try again', async () => {
    expect(await create()).toBe('no_cluster_available');
    const id = await add('a', { region: 'us-west' });
    await expect(world.create(principal(), 'one', 0, 'us-east')).rejects.toMatchObject({ kind: 'unavailable', retryAfter: 60 });
    expect(await where('one', 'us-west')).toBe(id);
    await clusters().change(NOBODY, id, { status: 'maintenance' });
    expect(await create('two')).toBe('no_cluster_available');
  });

  it('keeps what a cluster under maintenance has going', async () => {
    const id = await add('a');
    const user = principal();
    const made = (await create('one', null, user)) as Environment;
    await world.turns(4, 50);
    await clusters().change(NOBODY, id, { status: 'maintenance' });
    const lifecycle = world.get(LifecycleService);
    await lifecycle.want(user, made.id, 'stop');
    await world.turns(4, 50);
    await lifecycle.want(user, made.id, 'start');
    await world.turns(6, 50);
    expect((await world.get(EnvironmentsService).get(user, made.id)).shown.status).toBe('running');
  });

  it('goes where the user rather is, else anywhere', async () => {
    const east = await add('a', { isDefault: true });
    const west = await add('b', { region: 'us-west', maxEnvironments: 1 });
    const users = world.get(UsersService);
    const find = users.find.bind(users);
    const user = principal('admin');
    const { connection } = world.database;
    const _id = new connection.base.Types.ObjectId(user.userId);
    await connection.collection('users').insertOne({ _id, username: 'x', preferred_region: 'us-west', created_at: new Date() });
    expect((await find(user.userId))?.preferredRegion).toBe('us-west');
    expect(await where('one', null, user)).toBe(west);
    expect(await where('two', null, user)).toBe(east);
    expect(await where('three', 'us-west', user)).toBe('no_cluster_available');
  });

  it('counts what pods request, with what others have', async () => {
    const id = await add('a', { isDefault: true });
    const other = await add('b');
    // An ubuntu environment requests a quarter of its memory; others leave room for two of them.
    const made = (await create('probe', null, principal('admin'))) as Environment;
    const need = made.limits.memoryBytes / 4;
    world.inspector.readings.set('a', {
      allocatable: { cpuMillis: 100_000, memoryBytes: 8 * GIB },
      requested: { cpuMillis: 0, memoryBytes: 8 * GIB - 2 * need },
    });
    await world.get(ClusterHealthService).measure(id);
    expect(await where('one')).toBe(id);
    expect(await where('two')).toBe(id);
    expect(await where('three')).toBe(other);
  });

  it('fills a cluster to its last place and no further, from two replicas at once', async () => {
    const id = await add('a', { maxEnvironments: 12 });
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => create(`e${index}`, null, principal('admin'), index % REPLICAS)),
    );
    expect(answers.filter((answer) => answer === 'no_cluster_available')).toHaveLength(18);
    expect(await count(id)).toBe(12);
  });

  it('gives a place back when nothing is left of the environment, not before', async () => {
    const id = await add('a', { maxEnvironments: 1 });
    const user = principal();
    const made = (await create('one', null, user)) as Environment;
    await world.turns(4, 50);
    await world.get(LifecycleService).want(user, made.id, 'delete');
    expect(await create('two')).toBe('no_cluster_available');
    await expect(clusters().remove(NOBODY, id)).rejects.toMatchObject({ code: 'cluster_in_use' });
    await world.turns(4, 50);
    expect(await where('two')).toBe(id);
  });

  describe('while a cluster is being removed', () => {
    /** Runs `meanwhile` once, after the environment was written down and before the cluster is looked at again. */
    const between = (meanwhile: () => Promise<unknown>): void => {
      const placement = world.get(ClusterPlacement);
      const { takes } = placement;
      placement.takes = async (id) => {
        placement.takes = takes;
        await meanwhile();
        return takes.call(placement, id);
      };
    };

    it('keeps the cluster whose environment is written down', async () => {
      const id = await add('a');
      between(() => expect(clusters().remove(NOBODY, id)).rejects.toMatchObject({ code: 'cluster_in_use' }));
      expect(await where()).toBe(id);
    });

    it('goes elsewhere when the cluster closes first', async () => {
      const id = await add('a', { isDefault: true });
      const other = await add('b');
      between(() => clusters().change(NOBODY, id, { status: 'inactive' }));
      const user = principal();
      expect(await where('one', null, user)).toBe(other);
      expect(await count(id)).toBe(0);
      expect((await world.get(EnvironmentsService).list(user, {}, { limit: 10, after: null })).total).toBe(1);
      await clusters().remove(NOBODY, id);
    });

    it('never leaves an environment in a cluster that is gone', async () => {
      for (let round = 0; round < 15; round += 1) {
        await world.clear();
        const ids = [await add('a', { isDefault: true }), await add('b')];
        const user = principal('admin');
        const rush = Array.from({ length: 4 }, (_, index) => create(`e${index}`, null, user, index % REPLICAS));
        await Promise.all([...rush, ...ids.map((id, index) => orRefused(clusters(index).remove(NOBODY, id)))]);
        const made = (await Promise.all(rush)).filter((one) => typeof one !== 'string');
        for (const { id } of made) {
          const kept = await world.get(EnvironmentRepository).find(id);
          expect(await world.get(ClusterPlacement).takes(kept?.clusterId ?? '')).toBe(true);
        }
      }
    });
  });

  it('holds the count, and no environment without a cluster, whatever happens', async () => {
    const act = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('create' as const), many: fc.integer({ min: 1, max: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), which: fc.nat(5) }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('max' as const), which: fc.nat(1), max: fc.integer({ min: 1, max: 4 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('status' as const),
          which: fc.nat(1),
          status: fc.constantFrom('active' as const, 'maintenance' as const),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), which: fc.nat(1) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 12 }), async (acts) => {
        await world.clear();
        const user = principal('admin');
        const ids = [await add('a', { maxEnvironments: 3 }), await add('b', { maxEnvironments: 3 })];
        const most = new Map(ids.map((id) => [id, 3]));
        const mine: string[] = [];
        let number = 0;
        for (const one of acts) {
          const id = 'which' in one ? (ids[one.which % 2] ?? '') : '';
          if (one.kind === 'create') {
            const rush = Array.from({ length: one.many }, (_, index) =>
              create(`e${(number += 1)}`, null, user, index % REPLICAS),
            );
            for (const made of await Promise.all(rush)) if (typeof made !== 'string') mine.push(made.id);
          } else if (one.kind === 'delete') {
            const which = mine[one.which % Math.max(1, mine.length)];
            if (which !== undefined) await orRefused(world.get(LifecycleService).want(user, which, 'delete'));
          } else if (one.kind === 'max') {
            // What was there before a lower limit stays, and nothing is added.
            const before = await orRefused(count(id));
            most.set(id, Math.max(one.max, typeof before === 'number' ? before : 0));
            await orRefused(clusters().change(NOBODY, id, { maxEnvironments: one.max }));
          } else if (one.kind === 'status') await orRefused(clusters().change(NOBODY, id, { status: one.status }));
          else if (one.kind === 'remove') await orRefused(clusters().remove(NOBODY, id));
          else await world.turns(1, 1_000);
          const all = await world.database.connection.collection('environments').find({}).toArray();
          for (const each of ids) {
            const there = all.filter(({ cluster_id }) => cluster_id === each).length;
            expect(there).toBeLessThanOrEqual(most.get(each) ?? 0);
            const told = await orRefused(count(each));
            expect(told).toBe(told === 'not_found' ? (expect(there).toBe(0), 'not_found') : there);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});

it('draws a place among those that may all be taken at once', () => {
  const places = fc.uniqueArray(fc.nat(20), { maxLength: 20 });
  fc.assert(
    fc.property(
      places,
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (taken, limit, random) => {
        const place = freePlace(taken, limit, () => random);
        if (taken.length >= limit) expect(place).toBeNull();
        else {
          expect(taken).not.toContain(place);
          expect(place).toBeLessThan(taken.length + limit);
          // Below it are no more free ones than the limit allows.
          const free = Array.from({ length: place ?? 0 }, (_, at) => at).filter((at) => !taken.includes(at));
          expect(free.length).toBeLessThan(limit - taken.length);
        }
      },
    ),
  );
});
