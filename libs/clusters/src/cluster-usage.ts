import { Injectable } from '@nestjs/common';
import { type Amounts } from './cluster';

/** The limits of a cluster's active environments, added up. */
export type Limits = Amounts;

/** Whoever knows which environments are where; environments joins from above. */
export abstract class ClusterUsageSource {
  /** Environments of each cluster, those being deleted included; a missing one has none. */
  abstract counts(clusterIds: readonly string[]): Promise<ReadonlyMap<string, number>>;

  /** Of each cluster's active environments; a missing one has none. */
  abstract activeLimits(clusterIds: readonly string[]): Promise<ReadonlyMap<string, Limits>>;
}

/** Where the source joins. Without one nothing is known, and a cluster must not be taken for empty. */
@Injectable()
export class ClusterUsageRegistry extends ClusterUsageSource {
  private source: ClusterUsageSource | null = null;

  join(source: ClusterUsageSource): void {
    if (this.source) throw new Error('There is a source of the use of clusters already');
    this.source = source;
  }

  counts(clusterIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.joined().counts(clusterIds);
  }

  activeLimits(clusterIds: readonly string[]): Promise<ReadonlyMap<string, Limits>> {
    return this.joined().activeLimits(clusterIds);
  }

  private joined(): ClusterUsageSource {
    if (!this.source) throw new Error('Nobody tells of the use of clusters');
    return this.source;
  }
}
