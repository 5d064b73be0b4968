import { checkScope, type CredentialRef, type Principal } from '@devpocket/access';
import { DomainError } from '@devpocket/kernel';
import { type TicketPurpose, Tickets } from '@devpocket/shared-state';
import { Injectable } from '@nestjs/common';
import { EnvironmentsService } from './environments.service';

/** Gives out tickets for what the caller may open. */
@Injectable()
export class TicketsService {
  constructor(
    private readonly environments: EnvironmentsService,
    private readonly tickets: Tickets<CredentialRef>,
  ) {}

  /** @throws DomainError `scope_missing | not_found | validation_error` */
  async issue(
    principal: Principal,
    purpose: TicketPurpose,
    environmentId: string | null,
  ): Promise<{ readonly ticket: string; readonly expiresIn: number }> {
    checkScope(purpose === 'events' ? 'env:read' : 'terminal', principal);
    if (purpose === 'events' && environmentId !== null) {
      throw DomainError.invalid({
        field: 'environment_id',
        code: 'not_for_events',
        message: 'is not for events, which are those of all environments',
      });
    }
    if (purpose !== 'events' && environmentId === null) {
      throw DomainError.invalid({ field: 'environment_id', code: 'required', message: `is needed for ${purpose}` });
    }
    if (environmentId !== null) await this.environments.get(principal, environmentId);
    return this.tickets.issue({ purpose, environmentId, credential: principal.credential });
  }
}
