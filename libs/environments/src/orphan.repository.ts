import { type Place, type RuntimeKind } from '@devpocket/runtime';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { OrphanRecord } from './environment.schema';

/** Since when something that a runtime holds has had no record. */
@Injectable()
export class OrphanRepository {
  constructor(@InjectModel(OrphanRecord.name) private readonly records: Model<OrphanRecord>) {}

  /** Notes it, unless it is noted. */
  async since(kind: RuntimeKind, { environmentId, userId, clusterId }: Place, now: Date): Promise<Date> {
    const _id = new Types.ObjectId(environmentId);
    const fresh = { runtime_kind: kind, user_id: userId, cluster_id: clusterId, since: now };
    const record = await this.records
      .findOneAndUpdate({ _id }, { $setOnInsert: fresh }, { upsert: true, returnDocument: 'after' })
      .lean();
    return record.since;
  }

  /** The others have a record again, or are gone. */
  async keepOnly(kind: RuntimeKind, ids: readonly string[]): Promise<void> {
    const noted = await this.records.find({ runtime_kind: kind }, { _id: 1 }).lean();
    const past = noted.map(({ _id }) => _id).filter((id) => !ids.includes(id.toHexString()));
    if (past.length > 0) await this.records.deleteMany({ _id: { $in: past } });
  }
}
