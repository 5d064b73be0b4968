import { ClusterPlacement } from '@devpocket/clusters';
import { type Region } from '@devpocket/kernel';
import { RuntimeRegistry } from '@devpocket/runtime';
import { UsersService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { ClusterUseRepository } from './cluster-use.repository';
import { type Environment } from './environment';
import { noClusterAvailable } from './environment.errors';
import { type Conflict, EnvironmentRepository, type NewEnvironment, type PlaceLimits } from './environment.repository';

export type Unplaced = Omit<NewEnvironment, 'runtimeKind'>;

/** Longer than a create needs from its insert to its release; a crash between them delays the start by this. */
const HOLD_MS = 10_000;

/** Writes new environments down where they will run: on this machine, or in the cluster that suits best. */
@Injectable()
export class EnvironmentPlacement {
  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly use: ClusterUseRepository,
    private readonly clusters: ClusterPlacement,
    private readonly users: UsersService,
    private readonly runtimes: RuntimeRegistry,
  ) {}

  /** @throws DomainError `no_cluster_available` */
  async insert(fresh: Unplaced, limits: PlaceLimits): Promise<Environment | Conflict> {
    const { kind, inClusters } = this.runtimes.primary();
    const environment = { ...fresh, runtimeKind: kind };
    return inClusters ? this.insertInCluster(environment, limits) : this.environments.insert(environment, limits);
  }

  /** What was ranked may be full, or take no more, by the time that it is written down: then the next one is tried. */
  private async insertInCluster(fresh: NewEnvironment, limits: PlaceLimits): Promise<Environment | Conflict> {
    const preferredRegion = fresh.region ?? (await this.preferredRegionOf(fresh.userId));
    for (const cluster of await this.clusters.rank({ limits: fresh.limits, region: fresh.region, preferredRegion })) {
      const inserted = await this.environments.insert(fresh, limits, cluster, HOLD_MS);
      if (inserted === 'cluster_full') continue;
      if (typeof inserted === 'string') return inserted;
      if (await this.clusters.takes(cluster.id)) {
        await this.use.release(inserted);
        return inserted;
      }
      // Written down, it keeps the cluster from being removed. If somebody acts on it already, it stays where it is.
      if (!(await this.use.takeBack(inserted))) return inserted;
    }
    throw noClusterAvailable(fresh.region);
  }

  private async preferredRegionOf(userId: string): Promise<Region | null> {
    return (await this.users.find(userId))?.preferredRegion ?? null;
  }
}
