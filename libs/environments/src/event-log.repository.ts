import { duplicateKey } from '@devpocket/database';
import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type EnvironmentEvent, type News } from './environment.events';
import { EVENTS_KEPT, EVENTS_KEPT_MS } from './event-cursor.policy';
import { EventRecord } from './event-log.schema';

export interface LoggedEvent {
  readonly seq: number;
  readonly writtenAt: Date;
  readonly event: EnvironmentEvent;
}

/** Events between two removals of what is over the number kept. */
const TRIM_EVERY = 100;

/**
 * The events of each user, numbered without a hole. There is no counter: a number is one more than the newest that is there, and the
 * unique index lets one of its writers through. So who has read up to N has read everything that will ever be below N, and the
 * newest of a user is never removed.
 */
@Injectable()
export class EventLogRepository {
  constructor(
    @InjectModel(EventRecord.name) private readonly events: Model<EventRecord>,
    private readonly clock: Clock,
  ) {}

  /** @returns its number; null when it was there already */
  async append({ key, event }: News): Promise<number | null> {
    const user_id = new Types.ObjectId(event.userId);
    const environment_id = new Types.ObjectId(event.environmentId);
    for (;;) {
      const seq = (await this.head(event.userId)) + 1;
      const written_at = this.clock.now();
      try {
        await this.events.create({ _id: new Types.ObjectId(), user_id, seq, environment_id, key, written_at, event });
      } catch (error) {
        const keys = duplicateKey(error);
        if (!keys) throw error;
        if (keys.includes('key')) return null;
        continue; // somebody was faster: look again
      }
      if (seq % TRIM_EVERY === 0) await this.events.deleteMany({ user_id, seq: { $lte: seq - EVENTS_KEPT } });
      return seq;
    }
  }

  /** The number of the newest; 0 when there is none. */
  async head(userId: string): Promise<number> {
    const [newest] = await this.events
      .find({ user_id: new Types.ObjectId(userId) }, { seq: 1 })
      .sort({ seq: -1 })
      .limit(1)
      .lean();
    return newest?.seq ?? 0;
  }

  /** Oldest first. */
  async after(userId: string, seq: number, limit: number): Promise<readonly LoggedEvent[]> {
    const records = await this.events
      .find({ user_id: new Types.ObjectId(userId), seq: { $gt: seq } })
      .sort({ seq: 1 })
      .limit(limit)
      .lean();
    return records.map((record) => ({ seq: record.seq, writtenAt: record.written_at, event: record.event }));
  }

  /** Removes what is too old, but for each user's newest, from which the next number is taken. */
  async removeOld(): Promise<void> {
    const old = { written_at: { $lt: new Date(this.clock.millis() - EVENTS_KEPT_MS) } };
    const users = await this.events.aggregate<{ _id: Types.ObjectId; count: number }>([
      { $match: old },
      { $group: { _id: '$user_id', count: { $sum: 1 } } },
    ]);
    for (const { _id: user_id } of users) {
      const head = await this.head(user_id.toHexString());
      await this.events.deleteMany({ user_id, ...old, seq: { $lt: head } });
    }
  }

  /** With the account. */
  async removeAll(userId: string): Promise<void> {
    await this.events.deleteMany({ user_id: new Types.ObjectId(userId) });
  }
}
