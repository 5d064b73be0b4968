import { newId } from '@devpocket/kernel';
import { EnvironmentsWorld, principal } from '@testing/environments';
import fc from 'fast-check';
import { Types } from 'mongoose';
import { EnvironmentEvents } from './environment-events';
import { type EnvironmentEvent, type News } from './environment.events';
import { withWish } from './environment.machine';
import { EnvironmentRepository } from './environment.repository';
import { EnvironmentsService } from './environments.service';
import { EventFeed, type FeedItem, POLL_MS } from './event-feed';
import { toCursor } from './event-cursor.policy';
import { EventLogRepository } from './event-log.repository';
import { HistoryRepository } from './history.repository';
import { InsightService } from './insight.service';
import { LifecycleService } from './lifecycle.service';
import { NewsRepository } from './news.repository';
import { NewsSweeper } from './news-sweeper';

const HOUR = 3_600_000;
const REPLICAS = 2;

describe('the events of a user', () => {
  let world: EnvironmentsWorld;
  beforeAll(async () => (world = await EnvironmentsWorld.open(REPLICAS)));
  beforeEach(() => world.clear());
  afterAll(() => world.close());

  const logOf = (replica = 0): EventLogRepository => world.get(EventLogRepository, replica);
  const news = (userId: string, environmentId: string, version: number): News => {
    const event = {
      type: 'environment.deleted',
      userId,
      environmentId,
      timestamp: world.clock.now(),
      statusVersion: version,
    } as const;
    return { key: String(version), event };
  };
  const write = async (userId: string, count: number): Promise<void> => {
    const environmentId = newId();
    for (let version = 1; version <= count; version += 1) await logOf().append(news(userId, environmentId, version));
  };
  /** What a reader gets first, and so many events more. */
  const read = async (userId: string, after: string | null, count: number, replica = 0): Promise<FeedItem[]> => {
    const items: FeedItem[] = [];
    for await (const item of world.get(EventFeed, replica).follow(userId, after, new AbortController().signal)) {
      items.push(item);
      if (items.length > count) break;
    }
    return items;
  };
  const begin = async (userId: string, after: string | null): Promise<string> => {
    const [first] = await read(userId, after, 0);
    return first?.type === 'reset' ? first.reason : String(first?.type);
  };
  const idsOf = (items: readonly FeedItem[]): string[] => items.flatMap((item) => (item.type === 'event' ? [item.id] : []));

  it('are read once each and in order, whoever writes and however often readers come back elsewhere', async () => {
    const writes = fc.array(fc.nat(REPLICAS - 1), { minLength: 1, maxLength: 16 });
    const visits = fc.array(fc.tuple(fc.nat(REPLICAS - 1), fc.integer({ min: 1, max: 6 })), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(writes, visits, async (writers, places) => {
        const [userId, environmentId] = [newId(), newId()];
        await write(userId, 1);
        const writing = Promise.all(
          writers.map((replica, version) => logOf(replica).append(news(userId, environmentId, version))),
        );
        const heard: string[] = [];
        let cursor = toCursor(userId, 1);
        const reading = (async () => {
          for (let visit = 0; heard.length < writers.length; visit += 1) {
            const [replica, count] = places[visit % places.length] ?? [0, 1];
            const items = await read(userId, cursor, Math.min(count, writers.length - heard.length), replica);
            expect(items[0]?.type).toBe('start');
            heard.push(...idsOf(items));
            cursor = items.at(-1)?.id ?? '';
          }
        })();
        await passing(Promise.all([writing, reading]));
        const all = await logOf().after(userId, 0, 1000);
        expect(all.map(({ seq }) => seq)).toEqual(all.map((_, at) => at + 1));
        expect(heard).toEqual(all.slice(1).map(({ seq }) => toCursor(userId, seq)));
        expect(heard).toHaveLength(writers.length);
      }),
      { numRuns: 12 },
    );
  });

  /** Time goes on until it is done: nobody wakes one who reads where nothing was written, it looks by itself a little later. */
  const passing = async (work: Promise<unknown>): Promise<void> => {
    let done = false;
    const over = work.finally(() => (done = true));
    while (!done) {
      await logOf().head(newId());
      world.clock.push(POLL_MS);
    }
    await over;
  };

  it('say why a cursor leads nowhere, and go on from where they are', async () => {
    const [userId, other] = [newId(), newId()];
    expect(await begin(userId, null)).toBe('start');
    await write(userId, 3);
    await write(other, 5);
    const [reset, ...rest] = await read(userId, 'nonsense', 0);
    expect([reset, rest]).toMatchObject([{ type: 'reset', reason: 'unreadable' }, []]);
    const cursor = reset?.id ?? '';
    expect(await begin(userId, cursor)).toBe('start');
    expect(await begin(other, cursor)).toBe('foreign');
    expect(await begin(userId, cursor.replace('3-', 'z-'))).toBe('unknown');
    await write(userId, 1);
    expect((await read(userId, cursor, 1)).map(({ type }) => type)).toEqual(['start', 'event']);
  });

  it('are kept for a day, and the newest for ever, so that no number comes twice', async () => {
    const userId = newId();
    const beginning = toCursor(userId, 0);
    await write(userId, 2);
    const newest = idsOf(await read(userId, beginning, 2))[1] ?? '';
    world.clock.push(25 * HOUR);
    expect(await begin(userId, beginning)).toBe('too_old');
    expect(await begin(userId, newest)).toBe('start');
    await logOf().removeOld();
    expect((await logOf().after(userId, 0, 10)).map(({ seq }) => seq)).toEqual([2]);
    expect(await begin(userId, newest)).toBe('start');
    await write(userId, 1);
    expect((await read(userId, newest, 1)).map(({ type }) => type)).toEqual(['start', 'event']);
    await logOf().removeOld();
    expect((await logOf().after(userId, 0, 10)).map(({ seq }) => seq)).toEqual([3]);
  });

  it('are kept up to a thousand', async () => {
    const userId = newId();
    await write(userId, 1);
    const { collection, first } = { collection: world.database.connection.collection('user_events'), first: toCursor(userId, 1) };
    const one = await collection.findOne({ seq: 1 });
    const more = Array.from({ length: 999 }, (_, at) => ({ ...one, _id: new Types.ObjectId(), seq: at + 2, key: `more ${at}` }));
    await collection.insertMany(more);
    expect(await begin(userId, toCursor(userId, 0))).toBe('start');
    await write(userId, 1);
    expect(await begin(userId, toCursor(userId, 0))).toBe('too_old');
    expect(await begin(userId, first)).toBe('start');
    await collection.insertMany(
      more.map((event, at) => ({ ...event, _id: new Types.ObjectId(), seq: 1002 + at, key: `yet more ${at}` })).slice(0, 98),
    );
    await write(userId, 1);
    expect((await logOf().after(userId, 0, 1))[0]?.seq).toBe(101);
    // A reader that is overtaken by what is removed is told so in the middle.
    const items: string[] = [];
    for await (const item of world.get(EventFeed).follow(userId, toCursor(userId, 150), new AbortController().signal)) {
      items.push(item.type);
      if (items.length === 2) await collection.deleteMany({ seq: { $lt: 500 } });
      if (item.type === 'reset') break;
    }
    expect(items.at(-1)).toBe('reset');
    expect(items.length).toBeLessThan(200);
  });

  it('come without a wake-up too, only later', async () => {
    const userId = newId();
    const types: string[] = [];
    const reading = (async () => {
      for await (const item of world.get(EventFeed, 1).follow(userId, null, new AbortController().signal)) {
        types.push(item.type);
        if (item.type === 'event') return;
      }
    })();
    while (types.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await write(userId, 1);
    await passing(reading);
    expect(types[0]).toBe('start');
  });

  describe('of an environment', () => {
    const user = principal('pro');
    const told = async (environmentId: string): Promise<EnvironmentEvent[]> =>
      (await logOf().after(user.userId, 0, 1000))
        .map(({ event }) => event)
        .filter((event) => event.environmentId === environmentId);
    const history = async (id: string): Promise<string[]> =>
      (await world.get(HistoryRepository).list(id, { limit: 100, after: null })).items.map(({ type }) => type).reverse();

    it('outlive whoever wrote it and died before telling, once and in order', async () => {
      const before = await world.create(user, 'one');
      const repository = world.get(EnvironmentRepository);
      const wish = { desired: 'stopped', generation: 1, why: 'user' } as const;
      // A server writes, and is no more.
      const after = await repository.wish(before, withWish(before, wish), null);
      if (typeof after === 'string') throw new Error(after);
      expect((await told(before.id)).map(({ statusVersion }) => statusVersion)).toEqual([1]);
      // Before its time is up nobody else tells it.
      await world.get(NewsSweeper, 1).sweep();
      expect(await told(before.id)).toHaveLength(1);
      world.clock.push(2_000);
      await Promise.all([world.get(NewsSweeper, 0).sweep(), world.get(NewsSweeper, 1).sweep()]);
      expect(await told(before.id)).toMatchObject([
        { type: 'environment.status', statusVersion: 1, status: 'creating' },
        { type: 'environment.status', statusVersion: 2, status: 'stopping', desired: 'stopped' },
      ]);
      expect(await history(before.id)).toEqual(['creating', 'stopping']);
      // It comes back from the dead, and tells what has been told.
      await world.get(EnvironmentEvents).tell(after);
      expect(await told(before.id)).toHaveLength(2);
      expect(await history(before.id)).toEqual(['creating', 'stopping']);
      expect((await repository.find(before.id))?.untold).toEqual([]);
      expect(await world.get(NewsRepository).overdue(10)).toEqual([]);
    });

    it('are in the history for who has seen the status', async () => {
      const before = await world.create(user, 'four');
      const wish = { desired: 'stopped', generation: 1, why: 'user' } as const;
      await world.get(EnvironmentRepository).wish(before, withWish(before, wish), null);
      const { items } = await world.get(InsightService, 1).events(user, before.id, { limit: 10, after: null });
      expect(items.map(({ type }) => type)).toEqual(['stopping', 'creating']);
      expect(await told(before.id)).toHaveLength(2);
    });

    it('tell what an earlier writer left untold before their own', async () => {
      const before = await world.create(user, 'two');
      const wish = (desired: 'stopped' | 'running', generation: number) => ({ desired, generation, why: 'user' as const });
      const stopped = await world.get(EnvironmentRepository).wish(before, withWish(before, wish('stopped', 1)), null);
      if (typeof stopped === 'string') throw new Error(stopped);
      await world.get(LifecycleService, 1).want(user, before.id, 'start');
      expect((await told(before.id)).map(({ statusVersion }) => statusVersion)).toEqual([1, 2, 3]);
    });

    it('never show an older status after a newer one, with requests and looks on every replica', async () => {
      const { id } = await world.create(user, 'three');
      for (let round = 0; round < 12; round += 1) {
        const wishes = (['stop', 'start', 'restart'] as const).map((wish, at) =>
          world
            .get(LifecycleService, at % REPLICAS)
            .want(user, id, wish)
            .catch(() => undefined),
        );
        await Promise.all([...wishes, world.turn(0), world.turn(1)]);
        world.clock.push(100);
      }
      await world.get(LifecycleService).want(user, id, 'delete');
      await world.turns(6, 1_100);
      expect(
        await world
          .get(EnvironmentsService)
          .get(user, id)
          .catch(() => 'gone'),
      ).toBe('gone');
      const events = await told(id);
      const versions = events.map(({ statusVersion }) => statusVersion);
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
      expect(new Set(versions).size).toBe(Math.max(...versions));
      expect(events.filter(({ type }) => type === 'environment.deleted')).toEqual([events.at(-1)]);
    });
  });
});
