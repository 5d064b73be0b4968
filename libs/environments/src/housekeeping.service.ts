import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { type RuntimeDriver, RuntimeRegistry, type Usage } from '@devpocket/runtime';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ActivityRecorder } from './activity-recorder';
import { stopTimeOf } from './deadline.policy';
import { type Environment } from './environment';
import { EnvironmentEvents } from './environment-events';
import { placeOf } from './environment.reconciler';
import { EnvironmentRepository } from './environment.repository';
import { HistoryRepository } from './history.repository';
import { LifecycleService } from './lifecycle.service';

const MINUTE = 60_000;
const WARN_MINUTES = [5, 1];
/** Of one core, averaged over a minute: above it somebody's work is going on. */
const BUSY_CPU_MILLIS = 30;

/** The background work beside the reconciler: idle and longest runs, usage samples, orphans. */
@Injectable()
export class HousekeepingService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Housekeeping');
  private readonly loops: readonly Loop[];
  /** Stop times that were warned of, by environment, with the minutes left that were told. */
  private readonly warned = new Map<string, { readonly at: number; readonly minutes: number }>();

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly lifecycle: LifecycleService,
    private readonly history: HistoryRepository,
    private readonly activity: ActivityRecorder,
    private readonly events: EnvironmentEvents,
    private readonly runtimes: RuntimeRegistry,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    const loop = (name: string, intervalMs: number, turn: () => Promise<void>): Loop =>
      new Loop(clock, { name, intervalMs, turn, onError: (error) => this.logger.error({ err: error }, `${name} failed`) });
    this.loops = [
      loop('idle', 10_000, () => this.stopIdle()),
      loop('usage', MINUTE, () => this.sample()),
      loop('orphans', MINUTE, () => this.sweep()),
    ];
    for (const one of this.loops) health.addLoop(one);
  }

  onApplicationBootstrap(): void {
    for (const loop of this.loops) loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  /** Stops what has been idle, or has run, too long; warns 5 and 1 minute before. */
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

  /** One reading of all that run, kept and shown; what is busy counts as active. */
  async sample(): Promise<void> {
    const running = await this.environments.running();
    for (const driver of this.runtimes.all()) {
      const own = running.filter(({ runtimeKind }) => runtimeKind === driver.kind);
      if (own.length > 0) await this.sampleOf(driver, own);
    }
  }

  /** Ends what the runtime holds of environments that there are not. The record comes first at create and goes last at delete. */
  async sweep(): Promise<void> {
    for (const driver of this.runtimes.all()) {
      const places = await driver.list();
      const known = await this.environments.known(places.map(({ environmentId }) => environmentId));
      for (const place of places) {
        if (known.has(place.environmentId)) continue;
        this.logger.warn({ environment_id: place.environmentId }, 'Removing what belongs to no environment');
        await driver.destroy(place);
      }
    }
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

  private async sampleOf(driver: RuntimeDriver, environments: readonly Environment[]): Promise<void> {
    const readings = await driver.usage(environments.map(placeOf));
    const timestamp = this.clock.now();
    for (const environment of environments) {
      const reading = readings.get(environment.id);
      if (!reading) continue;
      if (reading.cpuMillis > BUSY_CPU_MILLIS) this.activity.touch(environment.id);
      const usage = percentages(reading, environment);
      await this.environments.recordUsage(environment.id, usage);
      await this.history.addSample(environment.id, {
        timestamp,
        ...usage,
        networkRx: reading.networkRx,
        networkTx: reading.networkTx,
        connections: this.activity.connectionsOf(environment.id),
      });
    }
  }
}

function percentages(reading: Usage, { limits }: Environment): { cpu: number; memory: number; storage: number | null } {
  const percent = (used: number, of: number): number => Math.round((used / of) * 10_000) / 100;
  return {
    cpu: percent(reading.cpuMillis, limits.cpuMillis),
    memory: percent(reading.memoryBytes, limits.memoryBytes),
    storage: reading.storageBytes === null ? null : percent(reading.storageBytes, limits.storageBytes),
  };
}
