import { SystemClock } from '@devpocket/kernel';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describeSharedState, RedisServer } from '../testing';
import { MemoryCounters } from './counters';
import { type Home } from './homes';
import { RedisBroadcast } from './redis-broadcast';
import { RedisCounters } from './redis-counters';
import { RedisHeadCounts } from './redis-head-counts';
import { RedisHomes } from './redis-homes';
import { RedisLink } from './redis-link';
import { RedisNewestFew } from './redis-newest-few';
import { RedisTickets } from './redis-tickets';

const LEASE_MS = 900;
const PREFIX = 'devpocket:test';
const clock = new SystemClock();

/** What a replica has. */
class Replica {
  readonly counters: RedisCounters;
  readonly tickets: RedisTickets<unknown>;
  readonly broadcast: RedisBroadcast;
  readonly homes: RedisHomes;
  readonly heads: RedisHeadCounts;
  readonly few: RedisNewestFew;

  constructor(readonly link: RedisLink) {
    this.counters = new RedisCounters(link, new MemoryCounters(clock));
    this.tickets = new RedisTickets(link);
    this.broadcast = new RedisBroadcast(link);
    this.homes = new RedisHomes(link, LEASE_MS);
    this.heads = new RedisHeadCounts(link, this.homes);
    this.few = new RedisNewestFew(link);
  }

  static async open(url: string, prefix = PREFIX): Promise<Replica> {
    const link = new RedisLink(url, prefix, clock);
    const replica = new Replica(link);
    await link.open();
    return replica;
  }

  /** As kill -9 leaves it. */
  async vanish(): Promise<void> {
    await this.link.close();
  }
}

async function until(is: () => boolean | Promise<boolean>, ms = 8_000): Promise<void> {
  for (const end = performance.now() + ms; !(await is()); await delay(10))
    if (performance.now() > end) throw new Error(`not within ${ms} ms`);
}

function opened(replica: Replica | undefined): Replica {
  if (!replica) throw new Error('not opened');
  return replica;
}

const grant = { purpose: 'terminal', environmentId: 'e1', credential: { id: 's1' } } as const;

describe('shared state in Redis', () => {
  const server = new RedisServer();
  const replicas: Replica[] = [];
  const [one, two, three] = [0, 1, 2].map((at) => () => opened(replicas[at])) as [() => Replica, () => Replica, () => Replica];

  beforeAll(async () => {
    await server.start();
    for (let at = 0; at < 3; at += 1) replicas.push(await Replica.open(server.url));
    await Promise.all([one(), two(), three()].map(({ homes }, at) => homes.join(`127.0.0.1:${at + 1}`)));
    // A Redis that has just begun gives nothing away.
    await one().homes.claim('warm');
  });
  afterAll(async () => {
    for (const { link } of replicas) await link.close();
    await server.close();
  });

  describeSharedState(one, (ms) => delay(ms));

  describe('of several replicas', () => {
    it('counts together', async () => {
      const hits = await Promise.all(
        Array.from({ length: 90 }, (_, n) => opened(replicas[n % 3]).counters.hit('together', 30, 60_000)),
      );
      expect(hits.filter(({ allowed }) => allowed)).toHaveLength(30);
    });

    it('lets a ticket in once', async () => {
      const { ticket } = await one().tickets.issue(grant);
      const all = await Promise.all(
        Array.from({ length: 100 }, (_, n) => opened(replicas[n % 3]).tickets.redeem(ticket, 'terminal', 'e1')),
      );
      expect(all.filter(Boolean)).toEqual([grant]);
    });

    it('hears what one says: once, and of its own installation alone', async () => {
      const heard: string[] = [];
      const stops = [one(), two(), three()].map(({ broadcast }, at) =>
        broadcast.subscribe('c', (message) => heard.push(`${at} ${JSON.stringify(message)}`)),
      );
      const stranger = await Replica.open(server.url, 'devpocket:other');
      stranger.broadcast.publish('c', 'strange');
      one().broadcast.publish('c', { n: 1 });
      two().broadcast.publish('c', { n: 2 });
      await until(() => heard.length >= 6);
      await stranger.link.close();
      for (const stop of stops) stop();
      expect([...heard].sort()).toEqual(['0 {"n":1}', '0 {"n":2}', '1 {"n":1}', '1 {"n":2}', '2 {"n":1}', '2 {"n":2}']);
    });

    it('keeps the newest few of all', async () => {
      const gone: (readonly string[])[] = [];
      for (const [at, replica] of [one(), two(), three(), one()].entries())
        gone.push(await replica.few.enter('all', `s${at}`, 3));
      expect(gone).toEqual([[], [], [], ['s0']]);
    });

    it('counts heads together, whoever asks at once, without those of the dead', async () => {
      const asked = await Promise.all(replicas.map(({ heads }) => heads.admit('crowd', 2, 4)));
      expect(asked.filter(Boolean)).toHaveLength(2);
      opened(replicas[asked.indexOf(true)]).heads.tell('crowd', 1);
      await until(() => opened(replicas[asked.indexOf(false)]).heads.admit('crowd', 1, 4));
      const victim = await Replica.open(server.url);
      await victim.homes.join('127.0.0.1:6');
      expect(await victim.heads.admit('mourned', 3, 3)).toBe(true);
      expect(await one().heads.admit('mourned', 1, 3)).toBe(false);
      await victim.vanish();
      await until(async () => one().heads.admit('mourned', 1, 3));
    });

    it('has a home at one of them, which the others are told', async () => {
      const all = await Promise.all([one(), two(), three()].map(({ homes }) => homes.claim('raced')));
      const owner = all.findIndex((home) => home.here);
      expect(all.filter((home) => home.here)).toHaveLength(1);
      const told = { here: false, replica: opened(replicas[owner]).homes.replica, address: `127.0.0.1:${owner + 1}` };
      expect(all.filter((home) => !home.here)).toEqual([told, told]);
      await opened(replicas[owner]).homes.release('raced');
      expect(await three().homes.claim('raced')).toEqual({ here: true });
      await one().homes.release('raced'); // not its own
      expect(await two().homes.claim('raced')).toMatchObject({ here: false });
    });

    it('takes a home over from one that left at once, and from one that died within the lease', async () => {
      const [leaver, victim] = await Promise.all([Replica.open(server.url), Replica.open(server.url)]);
      await Promise.all([leaver.homes.join('127.0.0.1:8'), victim.homes.join('127.0.0.1:9')]);
      await Promise.all([leaver.homes.claim('left'), victim.homes.claim('widowed')]);
      await leaver.homes.leave();
      expect(await one().homes.claim('left')).toEqual({ here: true });
      await expect(leaver.homes.claim('left')).rejects.toMatchObject({ kind: 'unavailable' });
      await victim.vanish();
      expect(await one().homes.claim('widowed')).toMatchObject({ here: false });
      const died = performance.now();
      await until(async () => (await one().homes.claim('widowed')).here);
      expect(performance.now() - died).toBeLessThan(LEASE_MS + 500);
      await leaver.link.close();
    });

    it('tells one that was away too long what went to another', async () => {
      const sleeper = await Replica.open(server.url);
      await sleeper.homes.join('127.0.0.1:7');
      await sleeper.homes.claim('slept');
      const lost: string[] = [];
      sleeper.homes.onLost((name) => lost.push(name));
      const redis = new Redis(server.url);
      // As if it had not been heard of: its entry has expired, and another has claimed before it is back.
      await redis
        .multi()
        .del(`${PREFIX}:replica:${sleeper.homes.replica}`)
        .set(`${PREFIX}:home:slept`, one().homes.replica, 'PX', 60_000)
        .exec();
      await until(() => lost.length > 0);
      expect([lost, [...sleeper.homes.held()]]).toEqual([['slept'], []]);
      expect(await sleeper.homes.claim('slept')).toMatchObject({ here: false, replica: one().homes.replica });
      await redis.quit();
      await sleeper.homes.leave();
      await sleeper.link.close();
    });

    it('leaves nothing in Redis that does not expire', async () => {
      await one().tickets.issue(grant);
      const redis = new Redis(server.url);
      const keys = await redis.keys('*');
      expect(keys.every((key) => key.startsWith(`${PREFIX}:`))).toBe(true);
      const lasting = await Promise.all(keys.map(async (key) => [key, await redis.pttl(key)] as const));
      expect(lasting.filter(([, ms]) => ms < 0)).toEqual([]);
      await redis.quit();
    });
  });
});

describe('without Redis', () => {
  const server = new RedisServer();
  const replicas: Replica[] = [];
  const [one, two] = [0, 1].map((at) => () => opened(replicas[at])) as [() => Replica, () => Replica];

  beforeAll(async () => {
    await server.start();
    for (let at = 0; at < 2; at += 1) replicas.push(await Replica.open(server.url));
    await Promise.all([one().homes.join('127.0.0.1:1'), two().homes.join('127.0.0.1:2')]);
    await one().homes.claim('kept');
  });
  afterAll(async () => {
    for (const { link } of replicas) await link.close();
    await server.close();
  });

  const decided = async (key: string): Promise<void> => {
    const begun = performance.now();
    const hits = [await one().counters.hit(key, 1, 60_000), await one().counters.hit(key, 1, 60_000)];
    expect(hits.map(({ allowed }) => allowed)).toEqual([true, false]);
    await expect(one().tickets.issue(grant)).rejects.toMatchObject({ kind: 'unavailable', retryAfter: 1 });
    await expect(one().tickets.redeem('x', 'terminal', 'e1')).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(two().homes.claim('kept')).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await one().homes.claim('kept')).toEqual({ here: true });
    expect(performance.now() - begun).toBeLessThan(2_500);
  };

  /** Missed news: what was said meanwhile is not heard, that something was is. */
  const missed = { one: 0, two: 0 };

  it.each([
    ['is killed', () => server.kill(), () => server.start()],
    ['says nothing', () => Promise.resolve(server.freeze()), () => Promise.resolve(server.thaw())],
  ] as const)(
    'that %s limits count alone, tickets and new homes wait, and all goes on when it is back',
    async (how, end, begin) => {
      const stops = [
        one().broadcast.subscribe(
          'c',
          () => undefined,
          () => (missed.one += 1),
        ),
        two().broadcast.subscribe(
          'c',
          () => undefined,
          () => (missed.two += 1),
        ),
      ];
      const before = { ...missed };
      await end();
      await decided(how);
      one().broadcast.publish('c', 'unheard');
      await begin();
      await until(() => one().link.isUp && two().link.isUp);
      await until(() => missed.two > before.two);
      // A question that was under way may still end in vain.
      const passed = async (): Promise<unknown> =>
        two().tickets.redeem((await one().tickets.issue(grant)).ticket, 'terminal', 'e1');
      await until(async () => (await passed().catch(() => null)) !== null);
      // What was at home stays there, whoever asks first.
      const home = (): Promise<Home | null> =>
        two()
          .homes.claim('kept')
          .catch(() => null);
      await until(async () => (await home()) !== null);
      expect(await home()).toMatchObject({ here: false, replica: one().homes.replica });
      for (const stop of stops) stop();
    },
  );

  it('that answers while this process is held up has answered in time', async () => {
    const asked = one().link.run((redis) => redis.ping());
    await new Promise((resolve) => setImmediate(resolve)); // it is under way
    for (const end = performance.now() + 800; performance.now() < end;);
    expect(await asked).toBe('PONG');
  });

  it('that was never there, all works as without it until it comes', async () => {
    const late = new RedisServer();
    await late.start();
    await late.kill();
    const replica = await Replica.open(late.url);
    expect((await replica.counters.hit('x', 1, 60_000)).allowed).toBe(true);
    await expect(replica.tickets.issue(grant)).rejects.toMatchObject({ kind: 'unavailable' });
    await late.start();
    await until(() => replica.link.isUp);
    expect((await replica.tickets.issue(grant)).expiresIn).toBe(30);
    await replica.link.close();
    await late.close();
  });
});
