import { AuditTrail } from '@devpocket/audit';
import { ClusterSettings } from '@devpocket/config';
import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop, newId } from '@devpocket/kernel';
import { ClusterInspector } from '@devpocket/runtime';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy, Optional } from '@nestjs/common';
import { DEFAULT_MAX_ENVIRONMENTS, DEFAULT_OPTIONS } from './cluster';
import { ClusterDefaultRepository } from './cluster-default.repository';
import { ClusterHealthService } from './cluster-health.service';
import { ClusterRepository } from './cluster.repository';

const MEASURE_MS = 60_000;
const OWN_NAME = 'in-cluster';

/** What a server with a runtime for clusters does of itself: it registers the cluster that it is a pod of, and measures all. */
@Injectable()
export class ClusterUpkeep implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Clusters');
  private readonly loop: Loop | null;

  constructor(
    private readonly clusters: ClusterRepository,
    private readonly defaults: ClusterDefaultRepository,
    private readonly settings: ClusterSettings,
    private readonly audit: AuditTrail,
    measurements: ClusterHealthService,
    clock: Clock,
    health: HealthRegistry,
    @Optional() @Inject(ClusterInspector) inspector: ClusterInspector | null,
  ) {
    const onError = (error: unknown): void => this.logger.error({ err: error }, 'Clusters were not measured');
    this.loop = inspector
      ? new Loop(clock, { name: 'clusters', intervalMs: MEASURE_MS, turn: () => measurements.measureAll(), onError })
      : null;
    if (this.loop) health.addLoop(this.loop);
  }

  async onApplicationBootstrap(): Promise<void> {
    if (!this.loop) return;
    await this.registerOwn();
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop?.stop();
  }

  /** Once: what an administrator changed of it since stays. Of replicas that start together the unique index lets one. */
  async registerOwn(): Promise<void> {
    const { ownApiServer, region, isDefault } = this.settings;
    if (ownApiServer === null || (await this.clusters.findOwn())) return;
    const name = this.settings.name ?? OWN_NAME;
    const added = await this.clusters.insert({
      id: newId(),
      name,
      region,
      description: 'The cluster that this server runs in',
      server: ownApiServer,
      ownEndpoint: null,
      sealed: null,
      maxEnvironments: DEFAULT_MAX_ENVIRONMENTS,
      options: DEFAULT_OPTIONS,
      idempotencyScope: null,
    });
    if (added === 'name_taken' && !(await this.clusters.findOwn()))
      this.logger.warn(`This server's own cluster is not registered: ${name} is the name of another. Set CLUSTER_NAME`);
    if (typeof added === 'string') return;
    if (isDefault) await this.defaults.name(region, added.id);
    const target = `cluster:${added.id}`;
    const details = { name, region };
    await this.audit.record({
      actor: null,
      action: 'cluster.added',
      target,
      result: 'success',
      ip: null,
      requestId: null,
      details,
    });
  }
}
