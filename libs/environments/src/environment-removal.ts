import { type RemovalParticipant, RemovalRegistry } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { EventLogRepository } from './event-log.repository';
import { EnvironmentRepository } from './environment.repository';
import { LifecycleService } from './lifecycle.service';

/** An account's environments go with it: containers and volumes first, and the account last. */
@Injectable()
export class EnvironmentRemoval implements RemovalParticipant {
  readonly name = 'environments';

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly lifecycle: LifecycleService,
    private readonly log: EventLogRepository,
    registry: RemovalRegistry,
  ) {
    registry.join(this);
  }

  async removeOf(userId: string): Promise<boolean> {
    const left = await this.environments.allOf(userId);
    for (const environment of left) if (environment.wanted.desired !== 'deleted') await this.lifecycle.deleteFor(environment);
    if (left.length > 0) return false;
    await this.log.removeAll(userId);
    return true;
  }
}
