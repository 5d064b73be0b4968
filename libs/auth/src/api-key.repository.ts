import { duplicateKey, olderThan } from '@devpocket/database';
import { type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type StoredApiKey } from './api-key';
import { ApiKeyRecord } from './api-key.schema';

@Injectable()
export class ApiKeyRepository {
  constructor(@InjectModel(ApiKeyRecord.name) private readonly keys: Model<ApiKeyRecord>) {}

  /** @param places how many keys an account may have @returns false when they are all taken */
  async insert(key: StoredApiKey, places: number): Promise<boolean> {
    const user = new Types.ObjectId(key.userId);
    for (;;) {
      const held = await this.keys.find({ user_id: user }, { slot: 1 }).lean();
      const taken = new Set(held.map(({ slot }) => slot));
      const slot = Array.from({ length: places }, (_, place) => place).find((place) => !taken.has(place));
      if (slot === undefined) return false;
      try {
        await this.keys.create({
          _id: new Types.ObjectId(key.id),
          user_id: user,
          name: key.name,
          prefix: key.prefix,
          hash: key.hash,
          scopes: [...key.scopes],
          epoch: key.epoch,
          slot,
          created_at: key.createdAt,
          expires_at: key.expiresAt,
          last_used_at: null,
        });
        return true;
      } catch (error) {
        // Another was faster; the next free place, then.
        if (!duplicateKey(error)?.includes('slot')) throw error;
      }
    }
  }

  async findByPrefix(prefix: string): Promise<StoredApiKey | null> {
    const record = await this.keys.findOne({ prefix }).lean();
    return record && toKey(record);
  }

  async find(id: string): Promise<StoredApiKey | null> {
    const record = await this.keys.findById(id).lean();
    return record && toKey(record);
  }

  /** Those of the account's present epoch, newest first. */
  async list(userId: string, epoch: number, { limit, after }: PageRequest): Promise<Page<StoredApiKey>> {
    const own = { user_id: new Types.ObjectId(userId), epoch };
    const older = olderThan('created_at', after);
    const [records, total] = await Promise.all([
      this.keys
        .find({ ...own, ...older })
        .sort({ created_at: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.keys.countDocuments(own),
    ]);
    return toPage(records.map(toKey), limit, total, ({ createdAt, id }) => ({ time: createdAt.getTime(), id }));
  }

  /** Notes a use; one that comes late undoes no newer one. */
  async touch(id: string, at: Date): Promise<void> {
    await this.keys.updateOne({ _id: id }, { $max: { last_used_at: at } });
  }

  /** False when there is no such key of this user. */
  async remove(userId: string, id: string): Promise<boolean> {
    const { deletedCount } = await this.keys.deleteOne({ _id: id, user_id: userId });
    return deletedCount === 1;
  }

  async removeAll(userId: string): Promise<void> {
    await this.keys.deleteMany({ user_id: userId });
  }

  /** Deletes the keys of earlier epochs. */
  async removeBefore(userId: string, epoch: number): Promise<void> {
    await this.keys.deleteMany({ user_id: userId, epoch: { $lt: epoch } });
  }
}

function toKey(record: ApiKeyRecord): StoredApiKey {
  return {
    id: record._id.toHexString(),
    userId: record.user_id.toHexString(),
    name: record.name,
    prefix: record.prefix,
    hash: record.hash,
    scopes: record.scopes,
    epoch: record.epoch,
    createdAt: record.created_at,
    expiresAt: record.expires_at,
    lastUsedAt: record.last_used_at,
  };
}
