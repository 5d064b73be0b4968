import { olderThan } from '@devpocket/database';
import { isId, type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { type Place, type RuntimeKind } from '@devpocket/runtime';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { OrphanRecord } from './environment.schema';
import { type Orphan, type OrphanKind } from './orphan';

/** What is noted as an orphan, and since when. */
@Injectable()
export class OrphanRepository {
  constructor(@InjectModel(OrphanRecord.name) private readonly records: Model<OrphanRecord>) {}

  /** Notes it, unless it is noted. @returns since when it is */
  async note(kind: OrphanKind, runtimeKind: RuntimeKind, { environmentId, userId, clusterId }: Place, now: Date): Promise<Date> {
    const _id = new Types.ObjectId(environmentId);
    const fresh = { kind, runtime_kind: runtimeKind, user_id: userId, cluster_id: clusterId, since: now };
    const record = await this.records
      .findOneAndUpdate({ _id }, { $setOnInsert: fresh }, { upsert: true, returnDocument: 'after' })
      .lean();
    return record.since;
  }

  async noted(kind: OrphanKind, runtimeKind: RuntimeKind): Promise<readonly Orphan[]> {
    return (await this.records.find({ kind, runtime_kind: runtimeKind }).lean()).map(toOrphan);
  }

  async list({ limit, after }: PageRequest): Promise<Page<Orphan>> {
    const older = olderThan('since', after);
    const [records, total] = await Promise.all([
      this.records
        .find(older)
        .sort({ since: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.records.countDocuments({}),
    ]);
    return toPage(records.map(toOrphan), limit, total, ({ since, id }) => ({ time: since.getTime(), id }));
  }

  async find(id: string): Promise<Orphan | null> {
    const record = isId(id) ? await this.records.findOne({ _id: new Types.ObjectId(id) }).lean() : null;
    return record && toOrphan(record);
  }

  /** It is none, or none any more. */
  async forget(id: string): Promise<void> {
    await this.records.deleteOne({ _id: new Types.ObjectId(id) });
  }
}

function toOrphan(record: OrphanRecord): Orphan {
  return {
    id: record._id.toHexString(),
    kind: record.kind,
    runtimeKind: record.runtime_kind,
    clusterId: record.cluster_id,
    userId: record.user_id,
    since: record.since,
  };
}
