import { Installation } from '@devpocket/database';
import { newId } from '@devpocket/kernel';
import { NO_ORIGIN } from '@devpocket/http';
import { type EnvironmentSpec, type Held, type Sighting } from '@devpocket/runtime';
import { EnvironmentsWorld, principal } from '@testing/environments';
import { EnvironmentsService } from './environments.service';
import { LifecycleService } from './lifecycle.service';
import { END_AFTER_MS, REMOVE_AFTER_MS, SWEEP_MS } from './orphan';
import { OrphanSweeper } from './orphan-sweeper';
import { OrphansService } from './orphans.service';

const PAGE = { limit: 10, after: null };

describe('orphans', () => {
  let world: EnvironmentsWorld;
  beforeAll(async () => (world = await EnvironmentsWorld.open(1, 'local', { ORPHAN_AUTO_DELETE: 'false' })));
  beforeEach(() => world.clear());
  afterAll(() => world.close());

  const sweep = (): Promise<void> => world.get(OrphanSweeper).sweep();
  const orphans = (): OrphansService => world.get(OrphansService);
  const listed = async (): Promise<readonly string[]> =>
    (await orphans().list(PAGE)).items.map(({ kind, id }) => `${kind} ${id}`);
  const place = (environmentId: string): Held => ({ environmentId, userId: newId(), clusterId: null, install: null });
  const seen = async (id: string): Promise<Sighting['seen']> => (await world.driver.look(place(id))).seen;
  const hold = async (): Promise<string> => {
    const resources = { cpuMillis: 1, memoryBytes: 1, storageBytes: 1 };
    const spec: EnvironmentSpec = {
      ...place(newId()),
      install: await world.get(Installation).id(),
      incarnation: 1,
      name: 'orphan',
      image: '',
      defaultPort: null,
      resources,
      quota: { active: 1, kept: 1, each: resources },
      readOnlyRoot: false,
      environmentVariables: {},
      startupCommands: [],
      soleUser: false,
    };
    await world.driver.start(spec);
    return spec.environmentId;
  };

  it('are listed with what becomes of them, newest first', async () => {
    const first = await hold();
    await sweep();
    world.clock.push(1_000);
    const second = await hold();
    await sweep();
    expect(await listed()).toEqual([`object ${second}`, `object ${first}`]);
    const { items, total } = await orphans().list(PAGE);
    expect([total, items[1]?.removeAfter]).toEqual([2, null]);
  });

  it('keep their volume for as long as nobody deletes them, where that is the setting', async () => {
    const id = await hold();
    await sweep();
    world.clock.push(END_AFTER_MS);
    await sweep();
    world.clock.push(10 * REMOVE_AFTER_MS);
    await sweep();
    expect(await seen(id)).toBe('stopped');
    await orphans().remove(principal('admin'), id, NO_ORIGIN);
    expect(await seen(id)).toBe('absent');
    expect(await listed()).toEqual([]);
    await sweep();
    expect(await listed()).toEqual([]);
    const rows = await world.database.connection.collection('audit_entries').find({ action: 'orphan.removed' }).toArray();
    expect(rows).toMatchObject([{ target: `environment:${id}`, result: 'success' }]);
  });

  it('are not deleted when they have a record again', async () => {
    const user = principal();
    const { id } = await world.create(user, 'one');
    await world.turns(4, 50);
    const records = world.database.connection.collection('environments');
    const record = await records.findOne({});
    await records.deleteMany({});
    await sweep();
    expect(await listed()).toEqual([`object ${id}`]);
    await records.insertOne(record ?? {});
    await expect(orphans().remove(principal('admin'), id, NO_ORIGIN)).rejects.toMatchObject({ code: 'not_found' });
    expect(await seen(id)).toBe('running');
    await expect(orphans().remove(principal('admin'), newId(), NO_ORIGIN)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('stay when the runtime does not answer, or only does not list them', async () => {
    const id = await hold();
    await sweep();
    world.driver.unreachable = true;
    await expect(orphans().remove(principal('admin'), id, NO_ORIGIN)).rejects.toMatchObject({ kind: 'unavailable' });
    world.driver.unreachable = false;
    const list = world.driver.list.bind(world.driver);
    world.driver.list = () => Promise.resolve([]); // as when its cluster did not answer
    await sweep();
    world.driver.list = list;
    expect(await listed()).toEqual([`object ${id}`]);
  });

  it('that are records without a volume say so, until their owner starts or deletes them', async () => {
    const user = principal();
    const { id } = await world.create(user, 'one');
    await world.turns(4, 50);
    await world.get(LifecycleService).want(user, id, 'stop');
    await world.turns(4, 50);
    await sweep();
    expect(await listed()).toEqual([]);
    await world.driver.destroy({ environmentId: id, userId: user.userId, clusterId: null });
    await sweep();
    await world.turns(2, 50);
    await sweep();
    expect((await world.get(EnvironmentsService).get(user, id)).shown).toMatchObject({
      status: 'stopped',
      reason: 'runtime_state_lost',
    });
    expect(await listed()).toEqual([`record ${id}`]);
    await expect(orphans().remove(principal('admin'), id, NO_ORIGIN)).rejects.toMatchObject({ code: 'invalid_state' });
    await world.get(LifecycleService).want(user, id, 'start');
    await world.turns(5, 50);
    expect((await world.get(EnvironmentsService).get(user, id)).shown).toMatchObject({ status: 'running', reason: null });
    await sweep();
    expect(await listed()).toEqual([]);
  });

  it('are not what a runtime merely does not list', async () => {
    const user = principal();
    const { id } = await world.create(user, 'one');
    await world.turns(4, 50);
    await world.get(LifecycleService).want(user, id, 'stop');
    await world.turns(4, 50);
    const list = world.driver.list.bind(world.driver);
    world.driver.list = () => Promise.resolve([]);
    await sweep();
    await world.turns(2, 50);
    await sweep();
    world.driver.list = list;
    expect((await world.get(EnvironmentsService).get(user, id)).shown).toMatchObject({ status: 'stopped', reason: 'user' });
    expect(await listed()).toEqual([]);
  });
});

describe('the sweep', () => {
  let world: EnvironmentsWorld;
  beforeAll(async () => (world = await EnvironmentsWorld.open()));
  beforeEach(() => world.clear());
  afterAll(() => world.close());

  it('asks the runtimes every 15 minutes', async () => {
    expect(SWEEP_MS).toBe(15 * 60_000);
    let asked = 0;
    const list = world.driver.list.bind(world.driver);
    world.driver.list = () => {
      asked += 1;
      return Promise.resolve([]);
    };
    const sweeper = world.get(OrphanSweeper);
    const swept = async (): Promise<number> => {
      // Whatever the sweep has to ask the database was asked by then.
      for (let round = 0; round < 20; round += 1) await world.database.connection.collection('orphans').findOne({});
      return asked;
    };
    sweeper.onApplicationBootstrap();
    expect(await swept()).toBe(1);
    world.clock.push(SWEEP_MS - 1);
    expect(await swept()).toBe(1);
    world.clock.push(1 + 0.1 * SWEEP_MS);
    expect(await swept()).toBe(2);
    await sweeper.onModuleDestroy();
    world.driver.list = list;
  });

  it('removes what has neither processes nor a volume when it was seen twice, but nothing of an environment that is there', async () => {
    const { id } = await world.create(principal(), 'creating');
    const install = await world.get(Installation).id();
    const places = [id, newId()].map((environmentId) => ({ environmentId, userId: newId(), clusterId: null, install }));
    const list = world.driver.list.bind(world.driver);
    world.driver.list = () => Promise.resolve(places);
    await world.get(OrphanSweeper).sweep();
    expect(world.driver.acts).toEqual([]);
    world.clock.push(END_AFTER_MS);
    await world.get(OrphanSweeper).sweep();
    world.driver.list = list;
    expect(world.driver.acts).toEqual([`destroy ${places[1]?.environmentId}`]);
  });
});
