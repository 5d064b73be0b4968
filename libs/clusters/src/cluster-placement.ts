import { Injectable } from '@nestjs/common';
import { type Cluster } from './cluster';
import { ClusterDefaultRepository } from './cluster-default.repository';
import { ClusterUsageRegistry } from './cluster-usage';
import { ClusterRepository } from './cluster.repository';
import { rank, type Wish } from './placement.policy';

/** Where new environments go. Whoever places one asks `takes` once more when it is written down: see `ClustersService.remove`. */
@Injectable()
export class ClusterPlacement {
  constructor(
    private readonly clusters: ClusterRepository,
    private readonly defaults: ClusterDefaultRepository,
    private readonly usage: ClusterUsageRegistry,
  ) {}

  /** Best first; empty when none has room. */
  async rank(wish: Wish): Promise<readonly Cluster[]> {
    const all = (await this.clusters.all()).filter(({ status }) => status === 'active');
    const ids = all.map(({ id }) => id);
    const [isDefault, counts, limits] = await Promise.all([
      this.defaults.read(),
      this.usage.counts(ids),
      this.usage.activeLimits(ids),
    ]);
    const candidates = all.map((cluster) => ({
      cluster,
      isDefault: isDefault(cluster),
      environments: counts.get(cluster.id) ?? 0,
      activeLimits: limits.get(cluster.id) ?? { cpuMillis: 0, memoryBytes: 0 },
    }));
    return rank(candidates, wish).map(({ cluster }) => cluster);
  }

  /** Is it there, and does it take new environments, now? */
  async takes(clusterId: string): Promise<boolean> {
    return (await this.clusters.find(clusterId))?.status === 'active';
  }
}
