import { Authenticator, concerns, type Principal, type Revocation } from '@devpocket/access';
import { TerminalSettings } from '@devpocket/config';
import { MetricsRegistry } from '@devpocket/http';
import { Clock, DomainError } from '@devpocket/kernel';
import { Broadcast, NewestFew } from '@devpocket/shared-state';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { type Writable } from 'node:stream';
import { randomUUID } from 'node:crypto';
import { Gauge } from 'prom-client';
import { EventFeed, POLL_MS } from './event-feed';
import { toEventMessage } from './event-message';

/** Streams that gave way to a newer one, wherever that is. */
const REPLACED = 'events.stream-replaced';
const KEEP_ALIVE_MS = 15_000;
/** What a client waits before it connects again; browsers take it from the stream. */
const RETRY_MS = 3_000;
/** For one that had to make room: another takes its place, and they should not take turns. */
const RETRY_REPLACED_MS = 60_000;
/** A client that reads nothing for so long is dropped; its cursor brings it back. */
const STALL_MS = 60_000;
/** How long a credential's end may go unheard: the command line and other processes tell nobody here. */
const CONFIRM_MS = 5_000;
/** The longest wait that a timer of Node takes. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

/**
 * Server-sent events. A user has as many streams as sockets, counted apart from them: a phone's terminals must not cost it its
 * events. The one too many is the oldest, which most often is a connection that broke without a word.
 */
@Injectable()
export class EventStreams implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly open = new Set<EventStream>();
  private stopListening: () => void = () => undefined;
  private closing = false;

  constructor(
    private readonly feed: EventFeed,
    private readonly authenticator: Authenticator,
    private readonly settings: TerminalSettings,
    private readonly clock: Clock,
    private readonly few: NewestFew,
    private readonly broadcast: Broadcast,
    metrics: MetricsRegistry,
  ) {
    const gauge: Gauge = new Gauge({
      name: 'devpocket_event_streams',
      help: 'Open streams of server-sent events',
      registers: [metrics],
      collect: (): void => gauge.set(this.open.size),
    });
  }

  onApplicationBootstrap(): void {
    const stopReplaced = this.broadcast.subscribe(REPLACED, (message) => {
      if (typeof message === 'object' && message !== null && 'id' in message) this.replaced(message.id);
    });
    const stopRevoked = this.authenticator.onRevoked(
      (revocation) => this.revoked(revocation),
      () => {
        for (const stream of this.open) void stream.confirm();
      },
    );
    this.stopListening = () => {
      stopReplaced();
      stopRevoked();
    };
  }

  onModuleDestroy(): void {
    this.closing = true;
    this.stopListening();
    // Each comes back in its own moment.
    for (const stream of this.open) stream.end(`retry: ${200 + Math.floor(Math.random() * 2801)}\n\n`);
  }

  /** @throws DomainError `session_revoked` when the credential ended on the way here; `unavailable` while the server stops */
  async begin(principal: Principal): Promise<EventStream> {
    if (this.closing)
      throw new DomainError('unavailable', 'unavailable', 'The server restarts; connect again', { retryAfter: 1 });
    const stream = new EventStream(principal, this.feed, this.authenticator, this.clock);
    this.open.add(stream);
    stream.signal.addEventListener('abort', () => this.open.delete(stream));
    try {
      // From here on its end is heard; it may have come before.
      await this.authenticator.restore(principal.credential);
    } catch (error) {
      stream.end();
      throw error;
    }
    const key = `streams:${principal.userId}`;
    const oldest = await this.few.enter(key, stream.id, this.settings.maxConnectionsPerUser);
    if (stream.signal.aborted) this.few.leave(key, stream.id);
    else stream.signal.addEventListener('abort', () => this.few.leave(key, stream.id));
    for (const id of oldest) this.broadcast.publish(REPLACED, { id });
    return stream;
  }

  private replaced(id: unknown): void {
    for (const stream of this.open)
      if (stream.id === id) stream.end(`retry: ${RETRY_REPLACED_MS}\n: replaced by a newer stream\n\n`);
  }

  private revoked(revocation: Revocation): void {
    for (const stream of this.open) if (concerns(revocation, stream.principal.credential)) stream.end(': session_revoked\n\n');
  }
}

export class EventStream {
  private readonly logger = new Logger('EventStream');
  /** Known by it at all replicas. */
  readonly id = randomUUID();
  private readonly ended = new AbortController();
  private farewell = '';

  constructor(
    readonly principal: Principal,
    private readonly feed: EventFeed,
    private readonly authenticator: Authenticator,
    private readonly clock: Clock,
  ) {
    if (principal.expiresAt) void this.expire(principal.expiresAt);
  }

  get userId(): string {
    return this.principal.userId;
  }

  get signal(): AbortSignal {
    return this.ended.signal;
  }

  /** @param farewell the last that its client reads */
  end(farewell = ''): void {
    if (this.signal.aborted) return;
    this.farewell = farewell;
    this.ended.abort();
  }

  /** Writes events until the stream or its client ends; never rejects. @param after see `EventFeed.follow` */
  async pump(out: Writable, after: string | null): Promise<void> {
    out.on('close', () => this.end());
    if (out.destroyed) this.end();
    try {
      await this.write(out, `retry: ${RETRY_MS}\n\n`);
      let written = this.clock.millis();
      let confirmed = written;
      for await (const item of this.feed.follow(this.userId, after, this.signal)) {
        const now = this.clock.millis();
        // The feed gives something at each poll, so this is asked in time.
        if (now - confirmed >= CONFIRM_MS) {
          confirmed = now;
          await this.confirm();
          if (this.signal.aborted) break;
        }
        // Half a poll early rather than a whole one late.
        if (item.type === 'quiet' && now - written < KEEP_ALIVE_MS - POLL_MS / 2) continue;
        // An id without data is no event, and yet where a browser goes on after a loss.
        if (item.type === 'start') await this.write(out, `id: ${item.id}\n\n`);
        else if (item.type === 'quiet') await this.write(out, ': keep-alive\n\n');
        else await this.write(out, toFrame(toEventMessage(item)));
        written = now;
      }
    } catch (error) {
      this.logger.warn({ err: error }, 'A stream of events broke off; its client goes on by its cursor');
    }
    if (!out.destroyed) out.end(this.farewell);
    this.end();
  }

  /** Ends with a credential whose end was told of to nobody here. */
  async confirm(): Promise<void> {
    try {
      await this.authenticator.restore(this.principal.credential);
    } catch (error) {
      // Whatever else went wrong says nothing of the credential.
      if (error instanceof DomainError && error.kind === 'unauthenticated') this.end(': session_revoked\n\n');
    }
  }

  /** Resolves when there is room for more; the event log is the buffer, not the memory. */
  private async write(out: Writable, text: string): Promise<void> {
    if (this.signal.aborted || out.write(text)) return;
    const over = new AbortController();
    const drained = (): void => over.abort();
    out.once('drain', drained);
    this.signal.addEventListener('abort', drained);
    try {
      await this.clock.wait(STALL_MS, over.signal);
      out.destroy();
      this.end();
    } catch (error) {
      if (!over.signal.aborted) throw error;
    } finally {
      out.off('drain', drained);
      this.signal.removeEventListener('abort', drained);
    }
  }

  private async expire(at: Date): Promise<void> {
    try {
      for (let left = at.getTime() - this.clock.millis(); left > 0; left = at.getTime() - this.clock.millis())
        await this.clock.wait(Math.min(left, LONGEST_WAIT_MS), this.signal);
    } catch {
      return; // it ended before
    }
    this.end(': token_expired\n\n');
  }
}

function toFrame(message: Readonly<Record<string, unknown>>): string {
  return `id: ${String(message.id)}\nevent: ${String(message.type)}\ndata: ${JSON.stringify(message)}\n\n`;
}
