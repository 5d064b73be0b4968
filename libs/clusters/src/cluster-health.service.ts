import { Clock, DomainError } from '@devpocket/kernel';
import { ClusterDirectory, ClusterInspector, RuntimeError } from '@devpocket/runtime';
import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import { type Amounts, type Cluster } from './cluster';
import { clusterNotFound, runtimeNotAvailable } from './cluster.errors';
import { ClusterRepository } from './cluster.repository';
import { ClusterUsageRegistry } from './cluster-usage';
import { requestsOf } from './placement.policy';

const LONGEST_MS = 10_000;

/** What a cluster said when it was asked, or why nothing is known. */
export interface ClusterHealth {
  readonly clusterId: string;
  readonly at: Date;
  readonly error: string | null;
  readonly reading: {
    readonly responseTimeMs: number;
    readonly nodeCount: number;
    readonly available: Amounts;
  } | null;
}

/** Asks clusters how they are, and keeps for placement what they have. */
@Injectable()
export class ClusterHealthService {
  private readonly logger = new Logger('Clusters');

  constructor(
    private readonly clusters: ClusterRepository,
    private readonly directory: ClusterDirectory,
    private readonly usage: ClusterUsageRegistry,
    @Optional() @Inject(ClusterInspector) private readonly inspector: ClusterInspector | null,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `not_found | runtime_not_available` */
  async measure(id: string): Promise<ClusterHealth> {
    const cluster = await this.clusters.find(id);
    if (!cluster) throw clusterNotFound();
    if (!this.inspector) throw runtimeNotAvailable();
    return this.ask(this.inspector, cluster);
  }

  /** All at once, so that one which does not answer delays no other. */
  async measureAll(): Promise<void> {
    const { inspector } = this;
    if (!inspector) return;
    const gone = (error: unknown): void => {
      if (!(error instanceof DomainError)) throw error;
    };
    await Promise.all((await this.clusters.all()).map((cluster) => this.ask(inspector, cluster).catch(gone)));
  }

  private async ask(inspector: ClusterInspector, cluster: Cluster): Promise<ClusterHealth> {
    const { id, options } = cluster;
    try {
      const connection = await this.directory.find(id);
      if (!connection) throw clusterNotFound();
      const [reading, limits] = await Promise.all([
        inTime((signal) => inspector.measure(connection, signal)),
        this.usage.activeLimits([id]),
      ]);
      const ours = requestsOf(limits.get(id) ?? { cpuMillis: 0, memoryBytes: 0 }, options);
      const { allocatable, requested, responseTimeMs, nodeCount } = reading;
      const beyond = (a: Amounts, b: Amounts): Amounts => ({
        cpuMillis: Math.max(0, a.cpuMillis - b.cpuMillis),
        memoryBytes: Math.max(0, a.memoryBytes - b.memoryBytes),
      });
      await this.clusters.recordCapacity(id, { allocatable, others: beyond(requested, ours) });
      const available = beyond(allocatable, requested);
      return { clusterId: id, at: this.clock.now(), error: null, reading: { responseTimeMs, nodeCount, available } };
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      if (cluster.reachable !== false) this.logger.warn({ cluster_id: id }, `The cluster is unhealthy: ${error.message}`);
      await this.clusters.recordCapacity(id, null);
      return { clusterId: id, at: this.clock.now(), error: error.message, reading: null };
    }
  }
}

/** Ends in time also where an inspector does not heed its signal, and passes nothing on that a client library threw. */
async function inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(LONGEST_MS);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new RuntimeError('unreachable', `No answer within ${LONGEST_MS / 1000} s`)));
  });
  const told = work(signal).catch((error: unknown) => {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError('unreachable', `It could not be measured (${error instanceof Error ? error.name : typeof error})`);
  });
  return Promise.race([late, told]);
}
