import { type Principal } from '@devpocket/access';
import { newId } from '@devpocket/kernel';
import { EnvironmentsWorld, principal } from '@testing/environments';
import { Writable } from 'node:stream';
import { toCursor } from './event-cursor.policy';
import { POLL_MS } from './event-feed';
import { EventLogRepository } from './event-log.repository';
import { EventStreams } from './event-streams';

/** A client's end of a response: takes what is written, unless it is told not to read. */
class Client extends Writable {
  heard = '';
  reads = true;
  private readonly waiting: (() => void)[] = [];

  constructor() {
    super({ highWaterMark: 1024 });
  }

  override _write(chunk: Buffer, _encoding: string, taken: () => void): void {
    this.heard += chunk.toString();
    if (this.reads) taken();
    else this.waiting.push(taken);
  }

  readOn(): void {
    this.reads = true;
    for (const taken of this.waiting.splice(0)) taken();
  }

  get events(): string[] {
    return [...this.heard.matchAll(/^event: (.*)$/gm)].map(([, type = '']) => type);
  }
}

describe('streams of events', () => {
  let world: EnvironmentsWorld;
  let streams: EventStreams;
  beforeAll(async () => {
    world = await EnvironmentsWorld.open(1, 'local', { WS_MAX_CONNECTIONS_PER_USER: '2' });
    streams = world.get(EventStreams);
    streams.onApplicationBootstrap();
  });
  afterAll(() => world.close());

  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve));
  };
  const open = async (who: Principal, after: string | null = null): Promise<{ client: Client; over: Promise<void> }> => {
    const stream = await streams.begin(who);
    const client = new Client();
    const over = stream.pump(client, after);
    await until(() => client.heard.includes('id: '));
    return { client, over };
  };
  const write = (userId: string): Promise<number | null> => {
    const event = {
      type: 'environment.deleted',
      userId,
      environmentId: newId(),
      timestamp: world.clock.now(),
      statusVersion: 1,
    } as const;
    return world.get(EventLogRepository).append({ key: 'deleted', event });
  };

  it('begin with where they are, and say every 15 s that they live', async () => {
    const user = principal();
    const { client, over } = await open(user);
    expect(client.heard).toBe(`retry: 3000\n\nid: ${toCursor(user.userId, 0)}\n\n`);
    const begun = client.heard.length;
    for (let second = POLL_MS / 1000; second <= 60; second += POLL_MS / 1000) {
      await until(() => world.clock.awaits(POLL_MS));
      world.clock.push(POLL_MS);
      await until(() => world.clock.awaits(POLL_MS));
      expect(client.heard.length).toBe(begun + Math.floor(second / 15) * ': keep-alive\n\n'.length);
    }
    client.destroy();
    await over;
  });

  it('tell what happened behind a cursor, one frame each', async () => {
    const user = principal();
    await write(user.userId);
    await write(user.userId);
    const { client, over } = await open(user, toCursor(user.userId, 1));
    await until(() => client.events.length === 1);
    const [, frame = ''] = /^(id: [^]*)\n\n$/.exec(client.heard.split('\n\n').slice(2).join('\n\n')) ?? [];
    const [id, type, data] = frame.split('\n');
    expect([id, type]).toEqual([`id: ${toCursor(user.userId, 2)}`, 'event: environment.deleted']);
    expect(JSON.parse(data?.slice('data: '.length) ?? '')).toEqual({
      type: 'environment.deleted',
      id: toCursor(user.userId, 2),
      timestamp: world.clock.now().toISOString(),
      environment_id: expect.stringMatching(/^[0-9a-f]{24}$/) as unknown,
      status_version: 1,
    });
    client.destroy();
    await over;
  });

  it('end with their token, and with their credential', async () => {
    const user = principal();
    const expiring = await open({ ...user, expiresAt: new Date(world.clock.millis() + 90_000) });
    const lasting = await open(user);
    world.clock.push(90_000);
    await expiring.over;
    expect(expiring.client.heard).toMatch(/: token_expired\n\n$/);
    expect(lasting.client.writableEnded).toBe(false);
    world.authenticator.end({ userId: newId(), credential: null });
    world.authenticator.end({ userId: user.userId, credential: null, except: user.credential });
    expect(lasting.client.writableEnded).toBe(false);
    world.authenticator.end({ userId: user.userId, credential: user.credential });
    await lasting.over;
    expect(lasting.client.heard).toMatch(/: session_revoked\n\n$/);
  });

  it('end soon with a credential that another process has ended, and tell nothing more', async () => {
    const user = principal();
    const { client, over } = await open(user);
    await until(() => world.clock.awaits(POLL_MS));
    world.authenticator.end({ userId: user.userId, credential: null }, false);
    await write(user.userId);
    world.clock.push(POLL_MS);
    await over;
    expect(client.events).toEqual([]);
    expect(client.heard).toMatch(/: session_revoked\n\n$/);
  });

  it('do not begin with a credential that ended on the way', async () => {
    const user = principal();
    world.authenticator.end({ userId: user.userId, credential: null }, false);
    await expect(streams.begin(user)).rejects.toMatchObject({ code: 'session_revoked' });
  });

  it('make room for a newer one, and come back to it much later', async () => {
    const [user, other] = [principal(), principal()];
    const [first, second, foreign] = [await open(user), await open(user), await open(other)];
    const third = await open(user);
    await first.over;
    expect(first.client.heard).toMatch(/retry: 60000\n: replaced by a newer stream\n\n$/);
    expect([second, third, foreign].map(({ client }) => client.writableEnded)).toEqual([false, false, false]);
    for (const { client, over } of [second, third, foreign]) {
      client.destroy();
      await over;
    }
  });

  it('hold nothing in memory for who does not read, and drop who does not for a minute', async () => {
    const user = principal();
    for (const [reading, end] of [
      [true, 'goes on'],
      [false, 'is dropped'],
    ] as const) {
      const { client, over } = await open(user);
      client.reads = false;
      for (let count = 0; count < 30; count += 1) await write(user.userId);
      world.clock.push(5_000);
      await until(() => client.writableNeedDrain);
      expect(client.writableLength).toBeLessThan(2048);
      if (reading) {
        client.readOn();
        await until(() => client.events.length === 30);
        client.destroy();
      } else world.clock.push(60_000);
      await over;
      expect([end, client.events.length]).toEqual([end, reading ? 30 : 1]);
      expect(client.destroyed).toBe(true);
    }
  });

  it('end when the server stops, each to come back in its own moment', async () => {
    const { client, over } = await open(principal());
    streams.onModuleDestroy();
    await over;
    const [, wait] = /retry: (\d+)\n\n$/.exec(client.heard) ?? [];
    expect(Number(wait)).toBeGreaterThanOrEqual(200);
    expect(Number(wait)).toBeLessThanOrEqual(3000);
    await expect(streams.begin(principal())).rejects.toMatchObject({ code: 'unavailable' });
  });
});
