import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ActivityRecorder } from './activity-recorder';
import { stopTimeOf } from './deadline.policy';
import { type Environment } from './environment';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentRepository } from './environment.repository';
import { LifecycleService } from './lifecycle.service';

const MINUTE = 60_000;
const LOOK_MS = 10_000;
const WARN_MINUTES = [5, 1];

/** Stops what has been idle, or has run, too long; warns 5 and 1 minute before. */
@Injectable()
export class IdleStopper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly loop: Loop;
  /** Stop times that were warned of, by environment, with the minutes left that were told. */
  private readonly warned = new Map<string, { readonly at: number; readonly minutes: number }>();

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly lifecycle: LifecycleService,
    private readonly activity: ActivityRecorder,
    private readonly events: EnvironmentEvents,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    const logger = new Logger('IdleStopper');
    const onError = (error: unknown): void => logger.error({ err: error }, 'A turn failed');
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
    const now = this.clock.millis();
    const running = await this.environments.running();
    for (const environment of running) {
      const stop = stopTimeOf(environment);
      if (!stop) continue;
      if (stop.at.getTime() <= now) await this.lifecycle.stopFor(environment, stop.reason);
      else this.warn(environment, stop.at, now);
    }
    const alive = new Set(running.map(({ id }) => id));
    for (const id of this.warned.keys()) if (!alive.has(id)) this.warned.delete(id);
  }

  private warn(environment: Environment, at: Date, now: number): void {
    const left = at.getTime() - now;
    const minutes = WARN_MINUTES.filter((each) => left <= each * MINUTE).at(-1);
    if (minutes === undefined) return;
    const before = this.warned.get(environment.id);
    if (before?.at === at.getTime() && before.minutes === minutes) return;
    this.warned.set(environment.id, { at: at.getTime(), minutes });
    this.events.idleWarning(environment, at, minutes);
  }
}
