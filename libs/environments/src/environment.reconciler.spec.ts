import { Installation } from '@devpocket/database';
import { newId } from '@devpocket/kernel';
import { RuntimeError } from '@devpocket/runtime';
import { EnvironmentsWorld, principal } from '@testing/environments';
import { type Environment } from './environment';
import { withWish } from './environment.machine';
import { EnvironmentReconciler } from './environment.reconciler';
import { EnvironmentRepository } from './environment.repository';
import { EnvironmentsService } from './environments.service';
import { LifecycleService } from './lifecycle.service';
import { LookRepository } from './look.repository';
import { END_AFTER_MS, REMOVE_AFTER_MS } from './orphan';
import { OrphanSweeper } from './orphan-sweeper';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

describe('the reconciler', () => {
  let world: EnvironmentsWorld;
  let user = principal();
  beforeAll(async () => (world = await EnvironmentsWorld.open(2)));
  beforeEach(async () => {
    await world.clear();
    user = principal();
  });
  afterAll(() => world.close());

  const get = (id: string): Promise<Environment> => world.get(EnvironmentsService).get(user, id);
  const want = (id: string, wish: 'start' | 'stop' | 'restart' | 'delete'): Promise<Environment> =>
    world.get(LifecycleService).want(user, id, wish);
  const begun = async (): Promise<Environment> => {
    const { id } = await world.create(user, 'one');
    await world.turns(5);
    const environment = await get(id);
    expect(environment.shown.status).toBe('running');
    return environment;
  };
  /** Time goes by, seen by everybody who waits, until it is so. */
  const until = async (so: () => boolean | Promise<boolean>, stepMs = 10_000): Promise<void> => {
    for (let step = 0; step < 1_000; step += 1) {
      if (await so()) return;
      world.clock.push(stepMs);
      // Whoever was woken has something to ask the database; so it has had time to.
      await world.database.connection.collection('environments').findOne({});
    }
    throw new Error('It never was so');
  };

  it('refuses a wish that was decided before a finding, even one that showed nothing new', async () => {
    const { id } = await world.create(user, 'one');
    const before = await get(id);
    await world.turn();
    const after = await get(id);
    expect(after.shown).toEqual(before.shown);
    expect(after.observed.begun).toBe(1);
    const stale = withWish(before, { ...before.wanted, desired: 'stopped' });
    expect(await world.get(EnvironmentRepository).wish(before, stale, null)).toBe('changed');
    expect((await get(id)).observed.begun).toBe(1);
  });

  it('knows when the next look is due', async () => {
    const reconciler = world.get(EnvironmentReconciler);
    expect(await reconciler.turn()).toBeUndefined();
    const { id } = await world.create(user, 'one');
    await world.turn();
    const due = (await world.database.connection.collection('environments').findOne({}))?.next_look as Date;
    world.clock.push(10);
    expect(await reconciler.turn()).toBe(due.getTime() - world.clock.millis());
    expect((await get(id)).shown.status).toBe('creating');
  });

  it('holds its lease while the runtime takes its time, so that nobody else looks', async () => {
    const { id } = await world.create(user, 'one');
    world.driver.nextAct = 'wait_after';
    await world.turn(0);
    const looks = world.get(LookRepository, 1);
    const lease = async (): Promise<number> => {
      const record = await world.database.connection.collection('environments').findOne({});
      return (record?.lease_until as Date).getTime();
    };
    const first = await lease();
    await until(async () => (await lease()) > first);
    await until(() => world.clock.millis() > first);
    expect(await looks.claim('another')).toBeNull();
    world.driver.release();
    await world.settle();
    await world.turns(3);
    expect((await get(id)).shown.status).toBe('running');
    expect(world.driver.acts).toEqual([`start ${id} 1`]);
  });

  it('does not act on a look that took too long', async () => {
    const { id } = await world.create(user, 'one');
    world.driver.nextLookWaits = true;
    await world.turn();
    await until(() => world.get(EnvironmentReconciler).underWay === 0);
    expect((await get(id)).shown.reason).toBe('runtime_unreachable');
    await want(id, 'stop');
    await world.turns(3);
    world.driver.release();
    await world.turns(3);
    expect(world.driver.acts).toEqual([]);
    expect((await get(id)).shown.status).toBe('stopped');
  });

  it('stops at once what a start that was given up brings to life late', async () => {
    const { id } = await world.create(user, 'one');
    world.driver.nextAct = 'wait_before';
    await world.turn();
    await want(id, 'stop');
    await until(() => world.get(EnvironmentReconciler).underWay === 0);
    await world.turns(60);
    expect((await get(id)).shown.status).toBe('stopped');
    world.driver.release();
    await world.settle();
    for (let tick = 0; tick < 200 && world.driver.acts.length < 2; tick += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      await world.turn();
    }
    expect(world.driver.acts).toEqual([`start ${id} 1`, `stop ${id} 1`]);
  });

  it('counts no time in which the runtime does not answer', async () => {
    const { id } = await world.create(user, 'one');
    world.driver.unreachable = true;
    await world.turns(30, MINUTE);
    expect((await get(id)).shown).toMatchObject({ status: 'creating', reason: 'runtime_unreachable' });
    world.driver.unreachable = false;
    await world.turns(2);
    expect((await get(id)).shown).toMatchObject({ status: 'creating', reason: null });
    await world.turns(3);
    expect((await get(id)).shown.status).toBe('running');
  });

  it.each([
    ['start', 'creating', 'start_timeout', 'error'],
    ['stop', 'stopping', 'stop_timeout', 'stopping'],
    ['delete', 'deleting', 'delete_failed', 'deleting'],
  ] as const)('keeps the deadline of a %s whatever the driver throws', async (wish, during, reason, after) => {
    const { id } = wish === 'start' ? await world.create(user, 'one') : await begun();
    world.driver.broken = new TypeError('a fault of the driver');
    if (wish !== 'start') await want(id, wish);
    const find = async (): Promise<Environment | null> => world.get(EnvironmentRepository).find(id);
    await world.turns(1);
    expect((await find())?.shown.status).toBe(during);
    await world.turns(25, MINUTE);
    expect((await find())?.shown).toMatchObject({ status: after, reason });
    world.driver.broken = null;
    await world.turns(3, MINUTE);
    expect((await find())?.shown.status).toBe({ start: 'error', stop: 'stopped', delete: undefined }[wish]);
  });

  it('ends within seconds what did not start in time', async () => {
    world.driver.phases = 1_000_000;
    const { id } = await world.create(user, 'one');
    await world.turns(1);
    world.clock.push(10 * MINUTE);
    await world.turns(1);
    expect((await get(id)).shown).toMatchObject({ status: 'error', reason: 'start_timeout', retryable: true });
    await world.turns(3);
    expect(world.driver.acts).toEqual([`start ${id} 1`, `stop ${id} 1`]);
    world.driver.phases = 1;
    await want(id, 'start');
    await world.turns(4);
    expect((await get(id)).shown.status).toBe('running');
  });

  it('tells why a start was refused', async () => {
    world.driver.startError = new RuntimeError('refused', 'No room', 'quota_exceeded');
    const { id } = await world.create(user, 'one');
    await world.turns(1);
    expect((await get(id)).shown).toEqual({
      status: 'error',
      phase: null,
      progress: null,
      reason: 'quota_exceeded',
      message: 'No room',
      retryable: true,
    });
  });

  it('calls what ended by itself lost, and starts it again only when asked', async () => {
    const { id } = await begun();
    world.driver.lose(id, 'out_of_memory');
    await world.turns(5);
    expect((await get(id)).shown).toMatchObject({ status: 'error', reason: 'out_of_memory' });
    await world.turns(5, MINUTE);
    expect(world.driver.acts).toEqual([`start ${id} 1`]);
    await want(id, 'restart');
    await world.turns(5);
    expect((await get(id)).shown.status).toBe('running');
  });

  describe('what belongs to no environment', () => {
    const hold = async (install: string): Promise<string> => {
      const environmentId = newId();
      const resources = { cpuMillis: 1, memoryBytes: 1, storageBytes: 1 };
      const place = { environmentId, userId: user.userId, clusterId: null };
      const how = { name: 'x', image: '', defaultPort: null, environmentVariables: {}, startupCommands: [], soleUser: true };
      const quota = { active: 1, kept: 1, each: resources };
      await world.driver.start({ ...place, install, incarnation: 1, resources, quota, readOnlyRoot: false, ...how });
      return environmentId;
    };
    const sweep = (): Promise<void> => world.get(OrphanSweeper).sweep();
    const seen = async (environmentId: string): Promise<string> =>
      (await world.driver.look({ environmentId, userId: '', clusterId: null })).seen;

    it('is ended after a minute, and removed after a week', async () => {
      const id = await hold(await world.get(Installation).id());
      await sweep();
      expect(await seen(id)).toBe('starting');
      world.clock.push(END_AFTER_MS);
      await sweep();
      expect(await seen(id)).toBe('stopped');
      world.clock.push(REMOVE_AFTER_MS - END_AFTER_MS - 1);
      await sweep();
      expect(await seen(id)).toBe('stopped');
      world.clock.push(1);
      await sweep();
      expect(await seen(id)).toBe('absent');
    });

    it("is left alone when it is another installation's", async () => {
      const id = await hold('another');
      await sweep();
      world.clock.push(30 * DAY);
      await sweep();
      expect(await seen(id)).not.toBe('absent');
      expect(world.driver.acts).toEqual([`start ${id} 1`]);
    });

    it('is forgotten when it has a record after all', async () => {
      const { id } = await begun();
      const records = world.database.connection.collection('environments');
      const record = await records.findOne({});
      await records.deleteMany({});
      await sweep();
      await records.insertOne(record ?? {});
      world.clock.push(END_AFTER_MS);
      await sweep();
      await records.deleteMany({});
      await sweep();
      expect(world.driver.acts).toEqual([`start ${id} 1`]);
    });

    it('is known by the same mark to every replica', async () => {
      expect(await world.get(Installation, 1).id()).toBe(await world.get(Installation, 0).id());
      expect(await world.get(Installation).id()).toMatch(/^[0-9a-f]{24}$/);
    });
  });
});
