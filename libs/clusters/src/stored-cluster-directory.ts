import { DomainError, isId } from '@devpocket/kernel';
import { ClusterDirectory, type ClusterConnection, RuntimeError } from '@devpocket/runtime';
import { Injectable, Logger } from '@nestjs/common';
import { ClusterRepository, type SealedCluster } from './cluster.repository';
import { KubeConfigs } from './kube-configs';

/** The stored clusters, each opened when it is asked for and kept by nobody here. */
@Injectable()
export class StoredClusterDirectory extends ClusterDirectory {
  private readonly logger = new Logger('Clusters');

  constructor(
    private readonly clusters: ClusterRepository,
    private readonly kubeConfigs: KubeConfigs,
  ) {
    super();
  }

  /** One whose secret cannot be opened is told of and left out: it hides no other. */
  async list(): Promise<readonly ClusterConnection[]> {
    return (await this.clusters.sealed()).flatMap((one) => {
      try {
        return [this.open(one)];
      } catch (error) {
        if (!(error instanceof RuntimeError)) throw error;
        this.logger.error({ cluster_id: one.cluster.id }, error.message);
        return [];
      }
    });
  }

  /** @throws RuntimeError `unreachable` when its secret cannot be opened: nothing is known of what runs there */
  async find(clusterId: string): Promise<ClusterConnection | null> {
    const [found] = isId(clusterId) ? await this.clusters.sealed(clusterId) : [];
    return found ? this.open(found) : null;
  }

  private open({ cluster, sealed }: SealedCluster): ClusterConnection {
    const { id, name, connectionRevision, ownEndpoint, options } = cluster;
    try {
      const kubeConfig = sealed && this.kubeConfigs.open(sealed, id);
      return { clusterId: id, name, revision: connectionRevision, kubeConfig, endpoint: ownEndpoint, options };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      throw new RuntimeError('unreachable', `The cluster ${name} cannot be connected to: ${error.message}`);
    }
  }
}
