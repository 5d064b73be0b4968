import { duplicateKey, olderThan } from '@devpocket/database';
import { type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { createHash } from 'node:crypto';
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

/** In the order of versions for one environment; 64 bits of a hash keep environments apart. */
function idOf(environmentId: string, version: number): Types.ObjectId {
  const id = Buffer.alloc(12);
  createHash('sha256').update(environmentId).digest().copy(id, 0, 0, 8);
  id.writeUInt32BE(version, 8);
  return new Types.ObjectId(id);
}

/** What happened to an environment, and how much it used. */
@Injectable()
export class HistoryRepository {
  constructor(
    @InjectModel(HistoryRecord.name) private readonly entries: Model<HistoryRecord>,
    @InjectModel(MetricRecord.name) private readonly samples: Model<MetricRecord>,
  ) {}

  /** @param version names it among its environment's: the same one a second time is dropped */
  async append(environmentId: string, version: number, entry: Omit<HistoryEntry, 'id'>): Promise<void> {
    try {
      await this.entries.create({
        _id: idOf(environmentId, version),
        environment_id: new Types.ObjectId(environmentId),
        ...entry,
      });
    } catch (error) {
      if (!duplicateKey(error)) throw error;
    }
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
