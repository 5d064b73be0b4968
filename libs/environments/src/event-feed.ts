import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { type EnvironmentEvent } from './environment.events';
import { EnvironmentEvents } from './environment-events';
import { canResume, EVENTS_KEPT, type LostCursor, readCursor, toCursor } from './event-cursor.policy';
import { EventLogRepository, type LoggedEvent } from './event-log.repository';

/** What a reader gets. `id` is the cursor behind which the rest follows. */
export type FeedItem =
  /** First, unless events are missing: where it begins. */
  | { readonly type: 'start'; readonly id: string }
  | { readonly type: 'event'; readonly id: string; readonly event: EnvironmentEvent }
  /** Events are missing before what follows: what is known has to be read anew. */
  | { readonly type: 'reset'; readonly id: string; readonly reason: LostCursor; readonly timestamp: Date }
  /** Nothing new for a while. */
  | { readonly type: 'quiet'; readonly id: string };

/** A look at the log without having been woken: the wake-up may have been lost. Also how often a quiet reader hears so. */
export const POLL_MS = 5_000;
const BATCH = 100;

/**
 * The events of a user for whoever reads them, from the log: every reader is a number, so that any replica can go on where another
 * one stopped, and one that reads slowly holds nothing in memory.
 */
@Injectable()
export class EventFeed {
  constructor(
    private readonly log: EventLogRepository,
    private readonly events: EnvironmentEvents,
    private readonly clock: Clock,
  ) {}

  /**
   * Every event behind the cursor once and in order, until the signal aborts.
   * @param after the id of the last event that was read; null: only what is new
   */
  async *follow(userId: string, after: string | null, signal: AbortSignal): AsyncGenerator<FeedItem, void, undefined> {
    const bell = new Bell();
    const end = (): void => bell.ring();
    const stop = this.events.subscribe((event) => {
      if (event.userId === userId) bell.ring();
    }, end);
    signal.addEventListener('abort', end);
    try {
      const begin = await this.begin(userId, after);
      yield begin.item;
      let at = begin.seq;
      while (!signal.aborted) {
        bell.wait();
        const batch = await this.log.after(userId, at, BATCH);
        for (const { seq, event } of batch) {
          if (signal.aborted) return;
          if (seq !== at + 1) {
            // It was slower than what is kept lasts.
            at = await this.log.head(userId);
            yield this.reset(userId, at, 'too_old');
            break;
          }
          at = seq;
          yield { type: 'event', id: toCursor(userId, seq), event };
        }
        if (batch.length > 0) continue;
        if (!(await bell.rang(this.clock, POLL_MS))) yield { type: 'quiet', id: toCursor(userId, at) };
      }
    } finally {
      signal.removeEventListener('abort', end);
      stop();
    }
  }

  private async begin(userId: string, after: string | null): Promise<{ readonly seq: number; readonly item: FeedItem }> {
    const seq = after === null ? null : readCursor(userId, after);
    const head = await this.log.head(userId);
    if (typeof seq === 'string') return { seq: head, item: this.reset(userId, head, seq) };
    if (seq === null) return { seq: head, item: { type: 'start', id: toCursor(userId, head) } };
    const lost = canResume(seq, head, await this.next(userId, seq, head), this.clock.now());
    if (lost) return { seq: head, item: this.reset(userId, head, lost) };
    return { seq, item: { type: 'start', id: toCursor(userId, seq) } };
  }

  private async next(userId: string, seq: number, head: number): Promise<LoggedEvent | undefined> {
    if (seq >= head || head - seq > EVENTS_KEPT) return undefined;
    return (await this.log.after(userId, seq, 1))[0];
  }

  private reset(userId: string, head: number, reason: LostCursor): FeedItem {
    return { type: 'reset', id: toCursor(userId, head), reason, timestamp: this.clock.now() };
  }
}

/** Rung while nobody waits, it is heard by the next who does. */
class Bell {
  private waiter = new AbortController();

  ring(): void {
    this.waiter.abort();
  }

  /** From now on a ring counts. */
  wait(): void {
    this.waiter = new AbortController();
  }

  /** @returns false when it did not ring in time */
  async rang(clock: Clock, ms: number): Promise<boolean> {
    const { signal } = this.waiter;
    try {
      await clock.wait(ms, signal);
      return false;
    } catch (error) {
      if (signal.aborted) return true;
      throw error;
    }
  }
}
