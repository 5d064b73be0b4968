import { duplicateKey } from '@devpocket/database';
import { type Region } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model } from 'mongoose';
import { type Cluster } from './cluster';
import { ClusterDefaultRecord } from './cluster.schema';

/** Which cluster each region names its default (see `ClusterDefaultRecord`). */
@Injectable()
export class ClusterDefaultRepository {
  constructor(@InjectModel(ClusterDefaultRecord.name) private readonly records: Model<ClusterDefaultRecord>) {}

  /** Tells whether a cluster is the default of the region that it is in. */
  async read(): Promise<(cluster: Cluster) => boolean> {
    const named = new Map((await this.records.find({}).lean()).map(({ _id, cluster_id }) => [_id, cluster_id]));
    return ({ region, id }) => named.get(region) === id;
  }

  /** In place of whichever it was. */
  async name(region: Region, clusterId: string): Promise<void> {
    for (;;) {
      try {
        await this.records.updateOne({ _id: region }, { $set: { cluster_id: clusterId } }, { upsert: true });
        return;
      } catch (error) {
        if (!duplicateKey(error)) throw error; // two made the region's document at once: now it is there
      }
    }
  }

  /** The region has no default any more, if it was this one. */
  async unname(region: Region, clusterId: string): Promise<void> {
    await this.records.deleteOne({ _id: region, cluster_id: clusterId });
  }
}
