import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ActivityRecorder } from './activity-recorder';
import { stopTimeOf } from './deadline.policy';
import { type Environment } from './environment';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentRepository } from './environment.repository';
import { warningDue } from './idle-warning.policy';
import { LifecycleService } from './lifecycle.service';

const LOOK_MS = 10_000;

/** Stops what has been idle, or has run, too long; warns 5 and 1 minute before. */
@Injectable()
export class IdleStopper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly loop: Loop;
  private readonly logger = new Logger('IdleStopper');
  /** The last warning of each environment, to spare the question whether it was told: the log knows, for all replicas. */
  private readonly warned = new Map<string, string>();

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly lifecycle: LifecycleService,
    private readonly activity: ActivityRecorder,
    private readonly events: EnvironmentEvents,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    const onError = (error: unknown): void => this.logger.error({ err: error }, 'A turn failed');
    this.loop = new Loop(clock, { name: 'idle', intervalMs: LOOK_MS, turn: () => this.stopIdle(), onError });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
  }

  async stopIdle(): Promise<void> {
    await this.activity.flush();
    const running = await this.environments.running();
    for (const environment of running) {
      // One that cannot be stopped or warned of now keeps no other waiting.
      await this.see(environment).catch((error: unknown) =>
        this.logger.warn({ err: error, environment_id: environment.id }, 'Not looked at; it is a little later'),
      );
    }
    const alive = new Set(running.map(({ id }) => id));
    for (const id of this.warned.keys()) if (!alive.has(id)) this.warned.delete(id);
  }

  private async see(environment: Environment): Promise<void> {
    const now = this.clock.now();
    const stop = stopTimeOf(environment);
    if (!stop) return;
    if (stop.at <= now) return this.lifecycle.stopFor(environment, stop.reason);
    const minutes = warningDue(environment, stop, now);
    if (minutes === null) return;
    const warning = `${stop.at.getTime()} ${minutes}`;
    if (this.warned.get(environment.id) === warning) return;
    await this.events.idleWarning(environment, stop.at, minutes);
    this.warned.set(environment.id, warning);
  }
}
