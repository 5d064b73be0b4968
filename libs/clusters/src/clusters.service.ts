import { type AuditEntry, AuditTrail } from '@devpocket/audit';
import { ClusterSettings } from '@devpocket/config';
import { type RequestOrigin } from '@devpocket/http';
import { DomainError, newId, type Page, type PageRequest, type Region } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { type Cluster, type ClusterAddition, type ClusterChange, type ClusterView, type RegionView } from './cluster';
import { ClusterDefaultRepository } from './cluster-default.repository';
import { ClusterUsageRegistry } from './cluster-usage';
import { clusterInUse, clusterNameTaken, clusterNotFound } from './cluster.errors';
import { changeFaults, regionsOf } from './cluster.policy';
import { type ClusterEdit, ClusterRepository } from './cluster.repository';
import { KubeConfigs } from './kube-configs';

/** Who does it: an administrator, or nobody signed in (the command line). */
export interface ClusterActor extends Pick<RequestOrigin, 'ip' | 'requestId'> {
  readonly userId: string | null;
}

@Injectable()
export class ClustersService {
  constructor(
    private readonly clusters: ClusterRepository,
    private readonly defaults: ClusterDefaultRepository,
    private readonly usage: ClusterUsageRegistry,
    private readonly kubeConfigs: KubeConfigs,
    private readonly audit: AuditTrail,
    private readonly settings: ClusterSettings,
  ) {}

  async list(region: Region | null, page: PageRequest): Promise<Page<ClusterView>> {
    const found = await this.clusters.list(region, page);
    return { ...found, items: await this.views(found.items) };
  }

  /** @throws DomainError `not_found` */
  async get(id: string): Promise<ClusterView> {
    return this.view(await this.found(id));
  }

  async findByName(name: string): Promise<ClusterView | null> {
    const cluster = await this.clusters.findByName(name);
    return cluster && this.view(cluster);
  }

  async regions(): Promise<readonly RegionView[]> {
    const [all, isDefault] = await Promise.all([this.clusters.all(), this.defaults.read()]);
    return regionsOf(all, isDefault);
  }

  /**
   * @param scope see `IdempotencyScope`: asked again under it, the same cluster is the answer
   * @throws DomainError `runtime_not_available | validation_error | name_taken`
   */
  async add(actor: ClusterActor, addition: ClusterAddition, scope: string | null): Promise<ClusterView> {
    const repeated = scope === null ? null : await this.clusters.findByScope(scope);
    // A crash may have come between the cluster and its being made the default.
    if (repeated) return this.settleDefault(repeated, addition.isDefault || undefined);
    const id = newId();
    const { sealed, server } = this.kubeConfigs.take(addition.kubeConfig, id);
    refuse(changeFaults(addition, this.settings.allowInsecure));
    const { name, region, description, endpoint, maxEnvironments, options, isDefault } = addition;
    const added = await this.clusters.insert({
      id,
      name,
      region,
      description,
      server,
      ownEndpoint: endpoint,
      sealed,
      maxEnvironments,
      options,
      idempotencyScope: scope,
    });
    if (typeof added === 'string') {
      // Of one that was asked for twice at once the name may be what collides first.
      if (scope !== null && (await this.clusters.findByScope(scope))) return this.add(actor, addition, scope);
      throw clusterNameTaken();
    }
    await this.record(actor, 'cluster.added', id, { name, region });
    return this.settleDefault(added, isDefault || undefined);
  }

  /**
   * Changes what is named.
   * @throws DomainError `not_found | runtime_not_available | validation_error | name_taken`
   */
  async change(actor: ClusterActor, id: string, change: ClusterChange): Promise<ClusterView> {
    refuse(changeFaults(change, this.settings.allowInsecure));
    const { kubeConfig, endpoint, isDefault, options, ...plain } = change;
    const connection = kubeConfig === undefined ? undefined : this.kubeConfigs.take(kubeConfig, id);
    for (;;) {
      const before = await this.found(id);
      const edit: ClusterEdit = {
        ...plain,
        ...(connection ? { connection } : {}),
        ...(endpoint === undefined ? {} : { ownEndpoint: endpoint }),
        ...(options ? { options: { ...before.options, ...options } } : {}),
      };
      const after = await this.clusters.change(before, edit);
      if (after === 'name_taken') throw clusterNameTaken();
      if (typeof after === 'string') continue;
      if (after.region !== before.region) await this.defaults.unname(before.region, id);
      await this.record(actor, 'cluster.changed', id, {
        name: after.name,
        region: after.region,
        status: after.status,
        kube_config_replaced: connection !== undefined,
        is_default: isDefault ?? null,
      });
      return this.settleDefault(after, isDefault);
    }
  }

  /**
   * Removes a cluster without environments. It takes no more of them first (`inactive`, as after a crash at this point), then they are
   * counted, and it goes if nobody has changed it meanwhile. Whoever places an environment writes it down first and then looks whether the
   * cluster still takes any: so either the count sees the environment, or the look sees that it must go elsewhere.
   * @throws DomainError `not_found | cluster_in_use`
   */
  async remove(actor: ClusterActor, id: string): Promise<void> {
    for (;;) {
      const before = await this.found(id);
      await this.refuseInUse(id);
      const closed = await this.clusters.change(before, { status: 'inactive' });
      if (typeof closed === 'string') continue;
      try {
        await this.refuseInUse(id);
      } catch (error) {
        await this.clusters.change(closed, { status: before.status });
        throw error;
      }
      if (!(await this.clusters.remove(closed))) continue;
      await this.defaults.unname(before.region, id);
      await this.record(actor, 'cluster.removed', id, { name: before.name, region: before.region });
      return;
    }
  }

  private async refuseInUse(id: string): Promise<void> {
    const environments = (await this.usage.counts([id])).get(id) ?? 0;
    if (environments > 0) throw clusterInUse(environments);
  }

  private async settleDefault(cluster: Cluster, wanted: boolean | undefined): Promise<ClusterView> {
    if (wanted === true) await this.defaults.name(cluster.region, cluster.id);
    if (wanted === false) await this.defaults.unname(cluster.region, cluster.id);
    return this.view(cluster);
  }

  private async found(id: string): Promise<Cluster> {
    const cluster = await this.clusters.find(id);
    if (!cluster) throw clusterNotFound();
    return cluster;
  }

  private async view(cluster: Cluster): Promise<ClusterView> {
    const [view] = await this.views([cluster]);
    if (!view) throw clusterNotFound();
    return view;
  }

  private async views(clusters: readonly Cluster[]): Promise<readonly ClusterView[]> {
    const [isDefault, counts] = await Promise.all([this.defaults.read(), this.usage.counts(clusters.map(({ id }) => id))]);
    return clusters.map((cluster) => ({
      ...cluster,
      isDefault: isDefault(cluster),
      environmentsCount: counts.get(cluster.id) ?? 0,
    }));
  }

  private record(
    { userId, ip, requestId }: ClusterActor,
    action: string,
    id: string,
    details: NonNullable<AuditEntry['details']>,
  ): Promise<void> {
    const target = `cluster:${id}`;
    return this.audit.record({ actor: userId, action, target, result: 'success', ip, requestId, details });
  }
}

function refuse(faults: Parameters<typeof DomainError.invalid>): void {
  if (faults.length > 0) throw DomainError.invalid(...faults);
}
