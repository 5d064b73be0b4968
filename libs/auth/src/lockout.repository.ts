import { duplicateKey } from '@devpocket/database';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model } from 'mongoose';
import { type AttemptRow, rowExpiry } from './lockout.policy';
import { LockoutRecord } from './lockout.schema';

/** Every write holds for the row that was read, or does not happen. */
@Injectable()
export class LockoutRepository {
  constructor(@InjectModel(LockoutRecord.name) private readonly rows: Model<LockoutRecord>) {}

  async find(id: string): Promise<AttemptRow | null> {
    const record = await this.rows.findById(id).lean();
    if (!record) return null;
    const { round, taken, wrong, last_taken_at, expires_at } = record;
    return { id, round, taken, wrong, lastTakenAt: last_taken_at, expiresAt: expires_at };
  }

  /** Begins a row with its first attempt; false when somebody else has just done so. */
  async open(id: string, round: string, now: Date): Promise<boolean> {
    try {
      await this.rows.create({ _id: id, round, taken: 1, wrong: 0, last_taken_at: now, expires_at: rowExpiry(1, now) });
      return true;
    } catch (error) {
      if (duplicateKey(error)) return false;
      throw error;
    }
  }

  async take({ id, round, taken }: AttemptRow, now: Date): Promise<boolean> {
    const result = await this.rows.updateOne(
      { _id: id, round, taken },
      { $set: { taken: taken + 1, last_taken_at: now, expires_at: rowExpiry(taken + 1, now) } },
    );
    return result.matchedCount === 1;
  }

  /** The attempt was not made after all. */
  async release(id: string, round: string): Promise<void> {
    await this.rows.updateOne({ _id: id, round, taken: { $gt: 0 } }, { $inc: { taken: -1 } });
  }

  /** @returns how many are wrong now; null when the row has ended */
  async markWrong(id: string, round: string): Promise<number | null> {
    const record = await this.rows
      .findOneAndUpdate({ _id: id, round }, { $inc: { wrong: 1 } }, { returnDocument: 'after' })
      .lean();
    return record?.wrong ?? null;
  }

  async remove(id: string, round: string): Promise<void> {
    await this.rows.deleteOne({ _id: id, round });
  }

  async clear(id: string): Promise<void> {
    await this.rows.deleteOne({ _id: id });
  }
}
