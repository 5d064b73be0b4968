import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { MailOutbox } from './mail-outbox';

const TURN_MS = 5_000;

/** Sends what waits in the outbox: a server's work, not the command line's. */
@Injectable()
export class MailSender implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Mail');
  private readonly loop: Loop;

  constructor(
    private readonly outbox: MailOutbox,
    clock: Clock,
    health: HealthRegistry,
  ) {
    const onError = (error: unknown): void => this.logger.error({ err: error }, 'A turn failed');
    this.loop = new Loop(clock, { name: 'mail', intervalMs: TURN_MS, turn: () => this.outbox.turn(), onError });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
    this.outbox.onPut(() => this.loop.wake());
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
  }
}
