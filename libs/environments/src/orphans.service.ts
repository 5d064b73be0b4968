import { type Principal } from '@devpocket/access';
import { AuditTrail } from '@devpocket/audit';
import { RuntimeSettings } from '@devpocket/config';
import { type RequestOrigin } from '@devpocket/http';
import { DomainError, type Page, type PageRequest } from '@devpocket/kernel';
import { RuntimeError, RuntimeRegistry } from '@devpocket/runtime';
import { Injectable } from '@nestjs/common';
import { LookRepository } from './look.repository';
import { type Orphan, REMOVE_AFTER_MS } from './orphan';
import { OrphanRepository } from './orphan.repository';

export interface OrphanView extends Orphan {
  /** When it is removed without being asked; null: never. */
  readonly removeAfter: Date | null;
}

const orphanNotFound = (): DomainError => DomainError.notFound('Orphan');

/** What the sweeps have found, for administrators. */
@Injectable()
export class OrphansService {
  constructor(
    private readonly orphans: OrphanRepository,
    private readonly looks: LookRepository,
    private readonly runtimes: RuntimeRegistry,
    private readonly audit: AuditTrail,
    private readonly settings: RuntimeSettings,
  ) {}

  async list(page: PageRequest): Promise<Page<OrphanView>> {
    const found = await this.orphans.list(page);
    const removed = (orphan: Orphan): boolean => orphan.kind === 'object' && this.settings.orphanAutoDelete;
    const items = found.items.map((orphan) => ({
      ...orphan,
      removeAfter: removed(orphan) ? new Date(orphan.since.getTime() + REMOVE_AFTER_MS) : null,
    }));
    return { ...found, items };
  }

  /**
   * Removes an object's processes and volume now: whoever asks has looked at this one.
   * @throws DomainError `not_found`, `invalid_state` for a record, `unavailable`
   */
  async remove(administrator: Principal, id: string, { ip, requestId }: RequestOrigin): Promise<void> {
    const orphan = await this.orphans.find(id);
    if (!orphan) throw orphanNotFound();
    const { kind, runtimeKind, userId, clusterId } = orphan;
    if (kind === 'record')
      throw new DomainError('invalid_state', 'invalid_state', 'It is an environment: its owner starts it anew or deletes it');
    if ((await this.looks.known([id])).has(id)) {
      await this.orphans.forget(id);
      throw orphanNotFound();
    }
    try {
      await this.runtimes.get(runtimeKind).destroy({ environmentId: id, userId, clusterId });
    } catch (error) {
      if (error instanceof RuntimeError) throw new DomainError('unavailable', 'unavailable', error.message, { cause: error });
      throw error;
    }
    // What is left of it, if anything, the next sweep finds again.
    await this.orphans.forget(id);
    await this.audit.record({
      actor: administrator.userId,
      action: 'orphan.removed',
      target: `environment:${id}`,
      result: 'success',
      ip,
      requestId,
      details: { user_id: userId, cluster_id: clusterId, runtime: runtimeKind },
    });
  }
}
