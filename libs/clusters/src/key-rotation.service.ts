import { AuditTrail } from '@devpocket/audit';
import { DomainError } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { ClusterRepository } from './cluster.repository';
import { KubeConfigs } from './kube-configs';

export interface Rotation {
  /** Names of clusters whose secret is sealed anew. */
  readonly renewed: readonly string[];
  /** Already under the key that seals. */
  readonly current: readonly string[];
  /** Under a key that is not here: nothing was done to them. */
  readonly unopened: readonly { readonly name: string; readonly problem: string }[];
}

/**
 * Seals every secret under the present key. Each is one write that puts the new form in place of the old, so a crash leaves some under
 * each key and loses none: the next rotation goes on.
 */
@Injectable()
export class KeyRotationService {
  constructor(
    private readonly clusters: ClusterRepository,
    private readonly kubeConfigs: KubeConfigs,
    private readonly audit: AuditTrail,
  ) {}

  /** @param progress in secrets */
  async rotate(progress?: (done: number, total: number) => void): Promise<Rotation> {
    const renewed: string[] = [];
    const current: string[] = [];
    const unopened: { name: string; problem: string }[] = [];
    const all = await this.clusters.sealed();
    for (const [at, { cluster }] of all.entries()) {
      const { id, name } = cluster;
      const outcome = await this.renew(id);
      if (outcome instanceof DomainError) unopened.push({ name, problem: outcome.message });
      else if (outcome !== null) (outcome ? renewed : current).push(name);
      progress?.(at + 1, all.length);
    }
    await this.audit.record({
      actor: null,
      action: 'keys.rotated',
      target: null,
      result: unopened.length === 0 ? 'success' : 'failure',
      ip: null,
      requestId: null,
      details: { renewed: renewed.length, current: current.length, unopened: unopened.length },
    });
    return { renewed, current, unopened };
  }

  /** Secrets that no key of this server opens; nothing is changed. */
  async unopened(): Promise<Rotation['unopened']> {
    return (await this.clusters.sealed()).flatMap(({ cluster, sealed }) => {
      try {
        if (sealed) this.kubeConfigs.open(sealed, cluster.id);
        return [];
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        return [{ name: cluster.name, problem: error.message }];
      }
    });
  }

  /** Was it sealed anew? Null: there is nothing to seal. */
  private async renew(id: string): Promise<boolean | DomainError | null> {
    for (;;) {
      const [found] = await this.clusters.sealed(id);
      if (!found?.sealed) return null;
      try {
        const sealed = this.kubeConfigs.renew(found.sealed, id);
        if (!sealed) return false;
        if (await this.clusters.reseal(id, found.sealed, sealed)) return true;
      } catch (error) {
        if (error instanceof DomainError) return error;
        throw error;
      }
      // an administrator replaced it meanwhile: look again
    }
  }
}
