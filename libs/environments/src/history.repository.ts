import { olderThan } from '@devpocket/database';
import { Clock, type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { HistoryRecord, MetricRecord } from './environment.schema';

export interface HistoryEntry {
  readonly id: string;
  readonly timestamp: Date;
  readonly type: string;
  readonly reason: string | null;
  readonly message: string | null;
}

export interface MetricSample {
  readonly timestamp: Date;
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly storage: number | null;
  readonly networkRx: number | null;
  readonly networkTx: number | null;
  readonly connections: number;
}

/** What happened to an environment, and how much it used. */
@Injectable()
export class HistoryRepository {
  constructor(
    @InjectModel(HistoryRecord.name) private readonly entries: Model<HistoryRecord>,
    @InjectModel(MetricRecord.name) private readonly samples: Model<MetricRecord>,
    private readonly clock: Clock,
  ) {}

  async append(environmentId: string, entry: Omit<HistoryEntry, 'id' | 'timestamp'>): Promise<void> {
    await this.entries.create({
      _id: new Types.ObjectId(),
      environment_id: new Types.ObjectId(environmentId),
      timestamp: this.clock.now(),
      ...entry,
    });
  }

  /** Newest first. */
  async list(environmentId: string, { limit, after }: PageRequest): Promise<Page<HistoryEntry>> {
    const where = { environment_id: new Types.ObjectId(environmentId) };
    const older = olderThan('timestamp', after);
    const [records, total] = await Promise.all([
      this.entries
        .find({ ...where, ...older })
        .sort({ timestamp: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.entries.countDocuments(where),
    ]);
    const entries = records.map(({ _id, timestamp, type, reason, message }) => ({
      id: _id.toHexString(),
      timestamp,
      type,
      reason,
      message,
    }));
    return toPage(entries, limit, total, ({ timestamp, id }) => ({ time: timestamp.getTime(), id }));
  }

  async addSample(environmentId: string, sample: MetricSample): Promise<void> {
    await this.samples.create({
      _id: new Types.ObjectId(),
      environment_id: new Types.ObjectId(environmentId),
      timestamp: sample.timestamp,
      cpu_usage: sample.cpu,
      memory_usage: sample.memory,
      storage_usage: sample.storage,
      network_rx: sample.networkRx,
      network_tx: sample.networkTx,
      active_connections: sample.connections,
    });
  }

  /** Oldest first. */
  async samplesSince(environmentId: string, since: Date): Promise<readonly MetricSample[]> {
    const records = await this.samples
      .find({ environment_id: new Types.ObjectId(environmentId), timestamp: { $gte: since } })
      .sort({ timestamp: 1 })
      .lean();
    return records.map((record) => ({
      timestamp: record.timestamp,
      cpu: record.cpu_usage,
      memory: record.memory_usage,
      storage: record.storage_usage,
      networkRx: record.network_rx,
      networkTx: record.network_tx,
      connections: record.active_connections,
    }));
  }

  async removeAll(environmentId: string): Promise<void> {
    const where = { environment_id: new Types.ObjectId(environmentId) };
    await this.entries.deleteMany(where);
    await this.samples.deleteMany(where);
  }
}
