import { type Clock, SystemClock } from '@devpocket/kernel';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { type Connection } from 'mongoose';
import { checkOrder, type Migration, MIGRATIONS } from './migration';
import { Migrator } from './migrator';
import { SchemaState } from './schema-state';

/** Every `thing` gets a `size`, one write each: a change that can be cut anywhere. */
const sized = (id: string, cut?: (at: number) => void): Migration => ({
  id,
  up: async ({ db, signal, progress }) => {
    const things = db.collection<{ _id: number; size?: number }>('things');
    const open = await things.find({ size: { $exists: false } }).toArray();
    for (const [at, { _id }] of open.entries()) {
      signal.throwIfAborted();
      cut?.(at);
      await things.updateOne({ _id, size: { $exists: false } }, { $set: { size: _id * 10 } });
      progress(at + 1, open.length);
    }
  },
});

describe('migrations', () => {
  let database: TestDatabase;
  let connection: Connection;
  const clock = new ManualClock();
  const lines: string[] = [];
  const migrator = (migrations: readonly Migration[], own: Clock = clock): Migrator =>
    new Migrator(connection, own, { migrations, log: (line) => lines.push(line) });
  const things = () => connection.collection<{ _id: number; size?: number }>('things');

  beforeAll(async () => {
    database = await openTestDatabase();
    ({ connection } = database);
  });
  beforeEach(async () => {
    lines.length = 0;
    await connection.collection('schema').deleteMany({});
    await things().deleteMany({});
    await things().insertMany([1, 2, 3].map((_id) => ({ _id })));
  });
  afterAll(() => database.close());

  it('are done once, in order, and recorded', async () => {
    const order: string[] = [];
    const noted = (id: string): Migration => ({ id, up: () => Promise.resolve(void order.push(id)) });
    const first = [noted('0001-one'), noted('0002-two')];
    expect((await migrator(first).status()).pending).toEqual(['0001-one', '0002-two']);
    expect(await migrator(first).run()).toEqual(['0001-one', '0002-two']);
    expect(await migrator(first).run()).toEqual([]);
    expect(await migrator([...first, noted('0003-three')]).run()).toEqual(['0003-three']);
    expect(order).toEqual(['0001-one', '0002-two', '0003-three']);
    const { applied, pending, unknown } = await migrator(first).status();
    expect(applied.map(({ id, at }) => [id, at])).toEqual(order.map((id) => [id, clock.now()]));
    expect([pending, unknown]).toEqual([[], ['0003-three']]);
  });

  it.each([0, 1, 2])('go on where a fault cut them, at write %i', async (where) => {
    const cut = (at: number): void => {
      if (at === where) throw new Error('the power went');
    };
    const progress: string[] = [];
    await expect(migrator([sized('0001-size', cut)]).run()).rejects.toMatchObject({ code: 'migration_failed' });
    expect((await migrator([sized('0001-size')]).status()).pending).toEqual(['0001-size']);
    const again = new Migrator(connection, clock, {
      migrations: [sized('0001-size')],
      log: () => undefined,
      progress: (id, done, total) => progress.push(`${id} ${done}/${total}`),
    });
    expect(await again.run()).toEqual(['0001-size']);
    expect((await things().find({}).sort({ _id: 1 }).toArray()).map(({ size }) => size)).toEqual([10, 20, 30]);
    expect(progress.at(-1)).toBe(`0001-size ${3 - where}/${3 - where}`);
  });

  it('are done by one process while the others wait', async () => {
    let runs = 0;
    const once: Migration = { id: '0001-once', up: () => Promise.resolve(void (runs += 1)) };
    const waiting = Array.from({ length: 5 }, () => migrator([once], new SystemClock()).run());
    expect((await Promise.all(waiting)).flat()).toEqual(['0001-once']);
    expect(runs).toBe(1);
  });

  it('of a process that was killed are taken over when its lease has passed, and not before', async () => {
    const own = new ManualClock();
    const until = new Date(own.millis() + 30_000);
    expect(await new SchemaState(connection).claim('the dead', own.now(), until)).toBe(true);
    let done: readonly string[] | null = null;
    const run = migrator([sized('0001-size')], own)
      .run()
      .then((ids) => (done = ids));
    const pass = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 500) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        own.push(500);
      }
    };
    await pass(29_000);
    expect([done, lines]).toEqual([null, ['Another process is changing the database: waiting for it']]);
    while (done === null) await pass(500);
    expect(await run).toEqual(['0001-size']);
  });

  it('of a process that slept past its lease are not recorded by it', async () => {
    const own = new ManualClock();
    const state = new SchemaState(connection);
    const slow: Migration = {
      id: '0001-slow',
      up: async () => {
        const later = new Date(own.millis() + 60_000);
        expect(await state.claim('another', later, new Date(later.getTime() + 30_000))).toBe(true);
      },
    };
    await expect(migrator([slow], own).run()).rejects.toMatchObject({ code: 'migration_lease_lost' });
    expect([...(await state.applied()).keys()]).toEqual([]);
    expect(await state.renew('another', own.now())).toBe(true);
  });

  it('give up on another that does not end', async () => {
    const own = new ManualClock();
    await new SchemaState(connection).claim('busy', own.now(), new Date(own.millis() + 1e12));
    let failure: unknown = null;
    const run = migrator([sized('0001-size')], own)
      .run()
      .catch((error: unknown) => (failure = error));
    while (failure === null) {
      await new Promise((resolve) => setImmediate(resolve));
      own.push(60_000);
    }
    await run;
    expect(failure).toMatchObject({ kind: 'unavailable', code: 'migration_busy' });
  });

  it('keep a version from a database that a newer one has changed, or that is half restored', async () => {
    await migrator([sized('0001-size')]).run();
    await expect(migrator([]).run()).rejects.toMatchObject({
      code: 'database_newer',
      message: expect.stringContaining('0001-size') as string,
    });
    const state = new SchemaState(connection);
    await state.beginRestore('/backups/monday', clock.now());
    await expect(migrator([sized('0001-size')]).run()).rejects.toMatchObject({ code: 'restore_unfinished' });
    await state.endRestore();
    expect(await migrator([sized('0001-size')]).run()).toEqual([]);
  });

  it('stand in one order', () => {
    expect(() => checkOrder(MIGRATIONS)).not.toThrow();
    const named = (...ids: string[]) => ids.map((id) => sized(id));
    expect(() => checkOrder(named('0002-b', '0001-a'))).toThrow(/does not come after/);
    expect(() => checkOrder(named('0001-a', '0001-b'))).toThrow(/does not come after/);
    expect(() => checkOrder(named('1-a'))).toThrow(/no name/);
  });
});
