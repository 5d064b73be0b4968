import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type Environment, STATUSES } from './environment';
import { isActive } from './environment.machine';
import { EnvironmentRecord } from './environment.schema';

const ACTIVE = STATUSES.filter(isActive);

/** The clusters' side of the collection: which environments are where. */
@Injectable()
export class ClusterUseRepository {
  constructor(
    @InjectModel(EnvironmentRecord.name) private readonly records: Model<EnvironmentRecord>,
    private readonly clock: Clock,
  ) {}

  async counts(clusterIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = await this.records.aggregate<{ _id: string; count: number }>([
      { $match: { cluster_id: { $in: [...clusterIds] }, cluster_slot: { $exists: true } } },
      { $group: { _id: '$cluster_id', count: { $sum: 1 } } },
    ]);
    return new Map(rows.map(({ _id, count }) => [_id, count]));
  }

  async activeLimits(
    clusterIds: readonly string[],
  ): Promise<ReadonlyMap<string, { readonly cpuMillis: number; readonly memoryBytes: number }>> {
    const records = await this.records
      .find(
        { cluster_id: { $in: [...clusterIds] }, cluster_slot: { $exists: true }, status: { $in: ACTIVE } },
        { cluster_id: 1, limits: 1 },
      )
      .lean();
    const sums = new Map<string, { cpuMillis: number; memoryBytes: number }>();
    for (const { cluster_id, limits } of records) {
      if (cluster_id === null) continue;
      const { cpuMillis, memoryBytes } = sums.get(cluster_id) ?? { cpuMillis: 0, memoryBytes: 0 };
      sums.set(cluster_id, { cpuMillis: cpuMillis + limits.cpuMillis, memoryBytes: memoryBytes + limits.memoryBytes });
    }
    return sums;
  }

  /** Now it may be looked at. */
  async release({ id }: Environment): Promise<void> {
    await this.records.updateOne({ _id: new Types.ObjectId(id) }, { $set: { next_look: this.clock.now() } });
  }

  /** Takes back what was inserted and nobody has looked at or wished for since. False when somebody has. */
  async takeBack({ id, revision }: Environment): Promise<boolean> {
    const result = await this.records.deleteOne({ _id: new Types.ObjectId(id), revision, lease_token: null });
    return result.deletedCount === 1;
  }
}
