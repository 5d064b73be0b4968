import { AuditTrail } from '@devpocket/audit';
import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { CredentialsService, RemovalRegistry } from '@devpocket/users';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { AccountRemains } from './account-remains';

const TURN_MS = 2_000;
/** A request that was let in before the account was shut out may still make something. */
export const REQUEST_MS = 30_000;

/** Sees accounts out that are on their way: whatever others hold of them first, the account itself last. It goes on after a crash. */
@Injectable()
export class AccountRemover implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('AccountRemover');
  private readonly loop: Loop;

  constructor(
    private readonly accounts: CredentialsService,
    private readonly registry: RemovalRegistry,
    private readonly remains: AccountRemains,
    private readonly audit: AuditTrail,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    const onError = (error: unknown): void => this.logger.error({ err: error }, 'A turn failed');
    this.loop = new Loop(clock, { name: 'account removal', intervalMs: TURN_MS, turn: () => this.turn(), onError });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
  }

  async turn(): Promise<void> {
    for (const { id, since } of await this.accounts.onTheirWayOut()) {
      // One that cannot go yet keeps no other.
      await this.seeOut(id, since).catch((error: unknown) => this.logger.error({ err: error, user: id }, 'Not removed yet'));
    }
  }

  private async seeOut(id: string, since: Date): Promise<void> {
    const left = await this.registry.removeOf(id);
    if (left.length > 0 || this.clock.millis() - since.getTime() < REQUEST_MS) return;
    await this.remains.remove(id);
    // Another server may be at it too.
    if (!(await this.accounts.remove(id))) return;
    const target = `user:${id}`;
    await this.audit.record({ actor: null, action: 'user.removed', target, result: 'success', ip: null, requestId: null });
  }
}
