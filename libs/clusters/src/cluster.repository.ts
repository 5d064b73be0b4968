import { duplicateKey, olderThan } from '@devpocket/database';
import { Clock, isId, type Page, type PageRequest, type Region, toPage } from '@devpocket/kernel';
import { type ClusterOptions } from '@devpocket/runtime';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, type QueryFilter, Types, type UpdateQuery } from 'mongoose';
import { type Capacity, type Cluster, type ClusterStatus } from './cluster';
import { fromRecord, fromSealedRecord, nameKey, type OpenRecord, toOptionsRecord, toSealedRecord } from './cluster-records';
import { ClusterRecord } from './cluster.schema';
import { type Sealed } from './keyring';

export interface NewCluster {
  readonly id: string;
  readonly name: string;
  readonly region: Region;
  readonly description: string | null;
  readonly server: string;
  readonly ownEndpoint: string | null;
  /** Null: the server is a pod of it. */
  readonly sealed: Sealed | null;
  readonly maxEnvironments: number;
  readonly options: ClusterOptions;
  readonly idempotencyScope: string | null;
}

/** Fields to write; what is left out stays. */
export interface ClusterEdit {
  readonly name?: string;
  readonly region?: Region;
  readonly description?: string | null;
  readonly ownEndpoint?: string | null;
  /** A kubeconfig and the server that it names. */
  readonly connection?: { readonly sealed: Sealed; readonly server: string };
  readonly maxEnvironments?: number;
  readonly status?: ClusterStatus;
  readonly options?: ClusterOptions;
}

export interface SealedCluster {
  readonly cluster: Cluster;
  readonly sealed: Sealed | null;
}

export type ClusterConflict = 'name_taken' | 'repeated' | 'changed';

/** Nobody reads a kubeconfig by the way. */
const WITHOUT_SECRET = { kube_config: 0 } as const;

@Injectable()
export class ClusterRepository {
  constructor(
    @InjectModel(ClusterRecord.name) private readonly records: Model<ClusterRecord>,
    private readonly clock: Clock,
  ) {}

  async find(id: string): Promise<Cluster | null> {
    return isId(id) ? this.one({ _id: new Types.ObjectId(id) }) : null;
  }

  findByName(name: string): Promise<Cluster | null> {
    return this.one({ name_key: nameKey(name) });
  }

  findByScope(scope: string): Promise<Cluster | null> {
    return this.one({ idempotency_scope: scope });
  }

  /** Of the cluster that the server is a pod of. */
  findOwn(): Promise<Cluster | null> {
    return this.one({ in_cluster: true });
  }

  async all(): Promise<readonly Cluster[]> {
    return (await this.records.find({}, WITHOUT_SECRET).sort({ created_at: -1, _id: -1 }).lean<OpenRecord[]>()).map(fromRecord);
  }

  async list(region: Region | null, { limit, after }: PageRequest): Promise<Page<Cluster>> {
    const where = region === null ? {} : { region };
    const older = olderThan('created_at', after);
    const [records, total] = await Promise.all([
      this.records
        .find({ ...where, ...older }, WITHOUT_SECRET)
        .sort({ created_at: -1, _id: -1 })
        .limit(limit + 1)
        .lean<OpenRecord[]>(),
      this.records.countDocuments(where),
    ]);
    return toPage(records.map(fromRecord), limit, total, (one) => ({ time: one.createdAt.getTime(), id: one.id }));
  }

  /** With their secrets, for whoever opens them. */
  async sealed(id?: string): Promise<readonly SealedCluster[]> {
    const where = id === undefined ? {} : { _id: new Types.ObjectId(id) };
    const records = await this.records.find(where).sort({ created_at: -1, _id: -1 }).lean<ClusterRecord[]>();
    return records.map((record) => ({
      cluster: fromRecord(record),
      sealed: record.kube_config && fromSealedRecord(record.kube_config),
    }));
  }

  /** The unique indexes decide: of any number of callers with one name exactly one gets a cluster. */
  async insert(fresh: NewCluster): Promise<Cluster | ClusterConflict> {
    const now = this.clock.now();
    try {
      const record = await this.records.create({
        _id: new Types.ObjectId(fresh.id),
        name: fresh.name,
        name_key: nameKey(fresh.name),
        region: fresh.region,
        description: fresh.description,
        server: fresh.server,
        own_endpoint: fresh.ownEndpoint,
        kube_config: fresh.sealed && toSealedRecord(fresh.sealed),
        ...(fresh.sealed ? {} : { in_cluster: true as const }),
        status: 'active',
        max_environments: fresh.maxEnvironments,
        options: toOptionsRecord(fresh.options),
        revision: 1,
        connection_revision: 1,
        ...(fresh.idempotencyScope === null ? {} : { idempotency_scope: fresh.idempotencyScope }),
        created_at: now,
        updated_at: now,
      });
      return fromRecord(record.toObject());
    } catch (error) {
      const keys = duplicateKey(error);
      if (!keys) throw error;
      return keys.includes('name_key') ? 'name_taken' : 'repeated';
    }
  }

  /** Writes if the cluster still is as it was read. */
  async change(before: Cluster, edit: ClusterEdit): Promise<Cluster | ClusterConflict> {
    const { name, region, description, ownEndpoint, connection, maxEnvironments, status, options } = edit;
    const reconnects = [name, ownEndpoint, connection, options].some((part) => part !== undefined);
    const update: UpdateQuery<ClusterRecord> = {
      $set: {
        ...(name === undefined ? {} : { name, name_key: nameKey(name) }),
        ...(region === undefined ? {} : { region }),
        ...(description === undefined ? {} : { description }),
        ...(ownEndpoint === undefined ? {} : { own_endpoint: ownEndpoint }),
        ...(connection ? { kube_config: toSealedRecord(connection.sealed), server: connection.server } : {}),
        ...(maxEnvironments === undefined ? {} : { max_environments: maxEnvironments }),
        ...(status === undefined ? {} : { status }),
        ...(options ? { options: toOptionsRecord(options) } : {}),
        updated_at: this.clock.now(),
      },
      $inc: { revision: 1, ...(reconnects ? { connection_revision: 1 } : {}) },
      // With a kubeconfig of its own it is no longer the cluster of this pod.
      ...(connection ? { $unset: { in_cluster: 1 } } : {}),
    };
    try {
      return (await this.write(before, update)) ?? 'changed';
    } catch (error) {
      if (duplicateKey(error)) return 'name_taken';
      throw error;
    }
  }

  /** Takes effect if the cluster still is as it was read. */
  async remove({ id, revision }: Cluster): Promise<boolean> {
    return (await this.records.deleteOne({ _id: new Types.ObjectId(id), revision })).deletedCount === 1;
  }

  /** Keeps a measurement; null: it did not answer, and what was known of it stays. */
  async recordCapacity(id: string, capacity: Capacity | null): Promise<void> {
    const set = { reachable: capacity !== null, ...(capacity ? { capacity } : {}) };
    await this.records.updateOne({ _id: new Types.ObjectId(id) }, { $set: set });
  }

  /** Puts a secret in place of the one that was opened, if it still is the one. */
  async reseal(id: string, before: Sealed, sealed: Sealed): Promise<boolean> {
    const { nonce, key_id } = toSealedRecord(before);
    const result = await this.records.updateOne(
      { _id: new Types.ObjectId(id), 'kube_config.key_id': key_id, 'kube_config.nonce': nonce },
      { $set: { kube_config: toSealedRecord(sealed) } },
    );
    return result.modifiedCount === 1;
  }

  private async one(where: QueryFilter<ClusterRecord>): Promise<Cluster | null> {
    const record = await this.records.findOne(where, WITHOUT_SECRET).lean<OpenRecord>();
    return record && fromRecord(record);
  }

  private async write({ id, revision }: Cluster, update: UpdateQuery<ClusterRecord>): Promise<Cluster | null> {
    const record = await this.records
      .findOneAndUpdate({ _id: new Types.ObjectId(id), revision }, update, { returnDocument: 'after' })
      .lean<OpenRecord>();
    return record && fromRecord(record);
  }
}
