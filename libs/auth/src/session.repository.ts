import { olderThan } from '@devpocket/database';
import { type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type Session } from './session.machine';
import { SessionRecord } from './session.schema';

export interface Rotation {
  readonly from: string;
  readonly to: string;
  readonly at: Date;
  readonly expiresAt: Date;
  readonly userAgent: string | null;
  readonly ip: string | null;
}

/** Ending a session deletes its document, so no later write can revive it: every other write is conditional and never inserts. */
@Injectable()
export class SessionRepository {
  constructor(@InjectModel(SessionRecord.name) private readonly sessions: Model<SessionRecord>) {}

  async insert(session: Session): Promise<void> {
    await this.sessions.create({
      _id: new Types.ObjectId(session.id),
      user_id: new Types.ObjectId(session.userId),
      method: session.method,
      epoch: session.epoch,
      current_hash: session.currentHash,
      prior_hash: session.priorHash,
      rotated_at: session.rotatedAt,
      user_agent: session.userAgent,
      ip: session.ip,
      created_at: session.createdAt,
      last_used_at: session.lastUsedAt,
      expires_at: session.expiresAt,
    });
  }

  async find(id: string): Promise<Session | null> {
    const record = await this.sessions.findById(id).lean();
    return record && toSession(record);
  }

  /** False when the token `from` is not the current one any more, or the session has ended. */
  async rotate(id: string, { from, to, at, expiresAt, userAgent, ip }: Rotation): Promise<boolean> {
    const result = await this.sessions.updateOne(
      { _id: id, current_hash: from },
      {
        $set: {
          current_hash: to,
          prior_hash: from,
          rotated_at: at,
          last_used_at: at,
          expires_at: expiresAt,
          user_agent: userAgent,
          ip,
        },
      },
    );
    return result.matchedCount === 1;
  }

  /** Is `current` still the current token, not yet presented, and the session alive? Notes the use in the same write. */
  async replay(id: string, current: string, prior: string, at: Date): Promise<boolean> {
    const result = await this.sessions.updateOne(
      { _id: id, current_hash: current, prior_hash: prior },
      { $max: { last_used_at: at } },
    );
    return result.matchedCount === 1;
  }

  /** False when there is no such session of this user. */
  async remove(userId: string, id: string): Promise<boolean> {
    const result = await this.sessions.deleteOne({ _id: id, user_id: userId });
    return result.deletedCount === 1;
  }

  /** Takes one session along into the account's new epoch. */
  async carryOver(userId: string, id: string, epoch: number): Promise<void> {
    await this.sessions.updateOne({ _id: id, user_id: userId }, { $max: { epoch } });
  }

  /** Deletes the sessions of earlier epochs; returns their ids. */
  async removeBefore(userId: string, epoch: number): Promise<readonly string[]> {
    const old = await this.sessions.find({ user_id: userId, epoch: { $lt: epoch } }, { _id: 1 }).lean();
    const ids = old.map((record) => record._id);
    if (ids.length > 0) await this.sessions.deleteMany({ _id: { $in: ids } });
    return ids.map((id) => id.toHexString());
  }

  async removeAll(userId: string): Promise<void> {
    await this.sessions.deleteMany({ user_id: userId });
  }

  /** The user's living sessions, newest first. */
  async list(userId: string, epoch: number, now: Date, { limit, after }: PageRequest): Promise<Page<Session>> {
    const alive = { user_id: new Types.ObjectId(userId), epoch, expires_at: { $gt: now } };
    const older = olderThan('created_at', after);
    const [records, total] = await Promise.all([
      this.sessions
        .find({ ...alive, ...older })
        .sort({ created_at: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.sessions.countDocuments(alive),
    ]);
    return toPage(records.map(toSession), limit, total, ({ createdAt, id }) => ({ time: createdAt.getTime(), id }));
  }
}

function toSession(record: SessionRecord): Session {
  return {
    id: record._id.toHexString(),
    userId: record.user_id.toHexString(),
    method: record.method ?? 'password',
    epoch: record.epoch,
    currentHash: record.current_hash,
    priorHash: record.prior_hash,
    rotatedAt: record.rotated_at,
    userAgent: record.user_agent,
    ip: record.ip,
    createdAt: record.created_at,
    lastUsedAt: record.last_used_at,
    expiresAt: record.expires_at,
  };
}
