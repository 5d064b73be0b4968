import { ClusterUsageRegistry, ClusterUsageSource } from '@devpocket/clusters';
import { Injectable } from '@nestjs/common';
import { ClusterUseRepository } from './cluster-use.repository';

/** Tells the clusters what they have. */
@Injectable()
export class EnvironmentClusterUsage extends ClusterUsageSource {
  constructor(
    private readonly use: ClusterUseRepository,
    registry: ClusterUsageRegistry,
  ) {
    super();
    registry.join(this);
  }

  counts(clusterIds: readonly string[]): ReturnType<ClusterUsageSource['counts']> {
    return this.use.counts(clusterIds);
  }

  activeLimits(clusterIds: readonly string[]): ReturnType<ClusterUsageSource['activeLimits']> {
    return this.use.activeLimits(clusterIds);
  }
}
