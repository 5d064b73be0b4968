import { type Clock, Loop } from '@devpocket/kernel';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { EventEmitter } from 'node:events';

/** A request waits for it: what takes longer counts as no answer. */
const COMMAND_MS = 500;
/** Of what a connection begins with, which nobody waits for. */
const HANDSHAKE_MS = 5_000;
const CONNECT_MS = 2_000;
const [FIRST_RETRY_MS, LONGEST_RETRY_MS] = [50, 1_000];
/** How often the way on which news come is tried: a dead one says nothing by itself. */
const PROBE_MS = 2_000;
/** How long an end waits for what is under way. */
const FAREWELL_MS = 1_000;

/** Redis does not answer. */
export class RedisDown extends Error {
  constructor(cause?: unknown) {
    super('Redis does not answer', { cause });
    this.name = 'RedisDown';
  }
}

interface LinkEvents {
  /** It answers, for the first time or again. */
  up: [];
  /** News may come from now on; some may have been missed before. */
  listening: [];
  message: [text: string];
}

/**
 * Two connections to Redis, one of them for news. Nothing waits in a queue: while it does not answer every use of it fails at once,
 * and when it does again all goes on by itself.
 */
export class RedisLink {
  readonly events = new EventEmitter<LinkEvents>();
  private readonly logger = new Logger('Redis');
  private readonly commands: Redis;
  private readonly news: Redis;
  private readonly probe: Loop;
  private readonly underWay = new Set<Promise<unknown>>();
  private readonly closers: (() => Promise<void>)[] = [];
  private told: 'up' | 'down' | null = null;
  private upAgain: number | null = null;

  /** @param prefix of every key and channel */
  constructor(
    url: string,
    readonly prefix: string,
    readonly clock: Clock,
  ) {
    this.commands = connectionTo(url, prefix);
    this.news = connectionTo(url, prefix);
    // Why it is down is told once an outage, not for each attempt.
    this.commands.on('error', (error) => this.down(error)).on('close', () => this.down(null));
    this.commands.on('ready', () => this.up());
    this.news.on('error', () => undefined);
    this.news.on('ready', () => void this.listen());
    this.news.on('message', (_channel, text) => this.events.emit('message', text));
    this.probe = new Loop(clock, { name: 'redis', intervalMs: PROBE_MS, turn: () => this.probeNews() });
  }

  /** Tries to connect; returns when it has, or when that takes too long: then it goes on trying. */
  async open(): Promise<void> {
    const begin = async (redis: Redis): Promise<void> => {
      await redis.connect().catch(() => undefined); // `error` tells, and it is tried again
    };
    await Promise.race([Promise.all([begin(this.commands), begin(this.news)]), this.clock.wait(CONNECT_MS)]);
    this.probe.start();
  }

  get isUp(): boolean {
    return this.commands.status === 'ready';
  }

  /** For how long it has answered again after an outage, in ms; infinite when there was none. */
  get sinceOutage(): number {
    return this.upAgain === null ? Infinity : this.clock.millis() - this.upAgain;
  }

  key(...parts: readonly string[]): string {
    return [this.prefix, ...parts].join(':');
  }

  /** @throws RedisDown at once when there is no connection, or within half a second @throws Error that Redis answers with */
  async run<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.isUp) throw new RedisDown();
    const work = command(this.commands);
    work.catch(() => undefined); // it may end when nobody waits for it any more
    this.underWay.add(work);
    try {
      return await inTime(work);
    } catch (error) {
      if (isAnswer(error)) throw error;
      // What does not answer is not asked again before it has let us in anew: else each request would wait as long.
      if (this.isUp) this.commands.disconnect(true);
      throw new RedisDown(error);
    } finally {
      this.underWay.delete(work);
    }
  }

  /** @throws RedisDown */
  publish(text: string): Promise<number> {
    return this.run((redis) => redis.publish(this.key('news'), text));
  }

  /** @param work ends what goes on over it, before it is closed */
  onClose(work: () => Promise<void>): void {
    this.closers.push(work);
  }

  async close(): Promise<void> {
    await Promise.all([this.probe.stop(), ...this.closers.map((work) => work())]);
    const rest = Promise.allSettled(this.underWay);
    await Promise.race([rest, this.clock.wait(FAREWELL_MS)]);
    this.told = null;
    this.commands.disconnect();
    this.news.disconnect();
  }

  private async listen(): Promise<void> {
    try {
      await this.news.subscribe(this.key('news'));
      this.events.emit('listening');
    } catch {
      if (this.news.status === 'ready') this.news.disconnect(true);
    }
  }

  private async probeNews(): Promise<void> {
    for (const redis of [this.news, this.commands]) {
      if (redis.status !== 'ready') continue;
      await inTime(redis.ping()).catch(() => redis.disconnect(true));
    }
  }

  private up(): void {
    if (this.told === 'down') {
      this.logger.log('Redis answers again');
      this.upAgain = this.clock.millis();
    }
    this.told = 'up';
    this.events.emit('up');
  }

  private down(error: Error | null): void {
    if (this.told === 'down' || (this.told === null && error === null)) return;
    this.told = 'down';
    this.logger.warn(
      `Redis does not answer (${error?.message ?? 'the connection was closed'}): limits count in this process alone, tickets and new ways to terminals have to wait`,
    );
  }
}

function connectionTo(url: string, prefix: string): Redis {
  return new Redis(url, {
    lazyConnect: true,
    protocol: 2,
    connectionName: prefix.replaceAll(/[^\x21-\x7e]/g, '-'),
    connectTimeout: CONNECT_MS,
    commandTimeout: HANDSHAKE_MS,
    enableOfflineQueue: false,
    // A command that may have been done must not be done again by itself.
    autoResendUnfulfilledCommands: false,
    // Done by hand, to know when.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2),
    // A failover made it a replica: the address leads to the new one.
    reconnectOnError: ({ message }) => message.startsWith('READONLY'),
  });
}

/** A process that was held up finds its timer before the answer that waits in the socket: that one counts. @throws RedisDown */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => setImmediate(() => setImmediate(() => reject(new RedisDown()))), COMMAND_MS).unref();
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Redis' own word, as opposed to none. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}
