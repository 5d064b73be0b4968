import { duplicateKey } from '@devpocket/database';
import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model } from 'mongoose';
import { type Claim, type StoredAnswer } from './idempotency';
import { IdempotencyRecord } from './idempotency.schema';

const DAY_MS = 24 * 3_600_000;
/** Longer than any request runs; after a crash a retry takes over when it has passed. */
const LEASE_MS = 15_000;

@Injectable()
export class IdempotencyRepository {
  constructor(
    @InjectModel(IdempotencyRecord.name) private readonly records: Model<IdempotencyRecord>,
    private readonly clock: Clock,
  ) {}

  async claim(scope: string, bodyHash: string, holder: string): Promise<Claim> {
    const now = this.clock.millis();
    const lease = { holder, lease_until: new Date(now + LEASE_MS) };
    try {
      await this.records.collection.insertOne({
        _id: scope as never,
        body_hash: bodyHash,
        answer: null,
        ...lease,
        expires_at: new Date(now + DAY_MS),
      });
      return { outcome: 'ours' };
    } catch (error) {
      if (!duplicateKey(error)) throw error;
    }
    const found = await this.records.findById(scope).lean();
    if (!found) return { outcome: 'running' }; // it has just been given up: ask again
    if (found.expires_at.getTime() <= now) return this.renew(scope, bodyHash, lease, found, now);
    if (found.body_hash !== bodyHash) return { outcome: 'mismatch' };
    if (found.answer) return { outcome: 'answered', answer: found.answer };
    if (found.lease_until.getTime() > now) return { outcome: 'running' };
    return this.renew(scope, bodyHash, lease, found, now);
  }

  async keep(scope: string, holder: string, answer: StoredAnswer): Promise<void> {
    await this.records.updateOne({ _id: scope, holder }, { $set: { answer } });
  }

  async giveUp(scope: string, holder: string): Promise<void> {
    await this.records.deleteOne({ _id: scope, holder, answer: null });
  }

  /** Takes over what has expired or whose holder is gone, if nobody else did meanwhile. */
  private async renew(
    scope: string,
    bodyHash: string,
    lease: { holder: string; lease_until: Date },
    seen: IdempotencyRecord,
    now: number,
  ): Promise<Claim> {
    const taken = await this.records.updateOne(
      { _id: scope, holder: seen.holder, lease_until: seen.lease_until },
      { $set: { ...lease, body_hash: bodyHash, answer: null, expires_at: new Date(now + DAY_MS) } },
    );
    return { outcome: taken.modifiedCount === 1 ? 'ours' : 'running' };
  }
}
