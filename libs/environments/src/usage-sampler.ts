import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { type RuntimeDriver, RuntimeRegistry, type Usage } from '@devpocket/runtime';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ActivityRecorder } from './activity-recorder';
import { type Environment, type UsageReading } from './environment';
import { placeOf } from './environment-specs';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentRepository } from './environment.repository';
import { HistoryRepository } from './history.repository';
import { resourceNews } from './news.policy';
import { nextAlerts } from './resource-alert.policy';

const SAMPLE_MS = 60_000;
const FRESH_SHARE = 0.75;
/** Of one core, averaged over a minute: above it somebody's work is going on. */
const BUSY_CPU_MILLIS = 30;

/** One reading a minute of all that run, kept and shown, by whichever replica comes first; what is busy counts as active, what is near a limit is told. */
@Injectable()
export class UsageSampler implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('UsageSampler');
  private readonly loop: Loop;

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly history: HistoryRepository,
    private readonly activity: ActivityRecorder,
    private readonly events: EnvironmentEvents,
    private readonly runtimes: RuntimeRegistry,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    const onError = (error: unknown): void => this.logger.error({ err: error }, 'A turn failed');
    this.loop = new Loop(clock, { name: 'usage', intervalMs: SAMPLE_MS, turn: () => this.sample(), onError });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
  }

  async sample(): Promise<void> {
    // Another replica's reading will do.
    const old = this.clock.millis() - SAMPLE_MS * FRESH_SHARE;
    const running = (await this.environments.running()).filter(({ usageAt }) => (usageAt?.getTime() ?? 0) <= old);
    for (const driver of this.runtimes.all()) {
      const own = running.filter(({ runtimeKind }) => runtimeKind === driver.kind);
      if (own.length === 0) continue;
      // One runtime that does not answer keeps no other from being read.
      await this.sampleOf(driver, own).catch((error: unknown) =>
        this.logger.warn({ err: error, runtime: driver.kind }, 'No readings'),
      );
    }
  }

  private async sampleOf(driver: RuntimeDriver, environments: readonly Environment[]): Promise<void> {
    const readings = await driver.usage(environments.map(placeOf));
    const timestamp = this.clock.now();
    for (const environment of environments) {
      const reading = readings.get(environment.id);
      if (!reading) continue;
      if (reading.cpuMillis > BUSY_CPU_MILLIS) this.activity.touch(environment.id);
      const usage = percentages(reading, environment);
      if (!(await this.record(environment, usage, timestamp))) continue;
      await this.history.addSample(environment.id, {
        timestamp,
        ...usage,
        networkRx: reading.networkRx,
        networkTx: reading.networkTx,
        connections: this.activity.connectionsOf(environment.id),
      });
    }
  }

  /** @returns whether it is the reading of this minute: another replica's may be faster */
  private async record(seen: Environment, usage: UsageReading, at: Date): Promise<boolean> {
    let environment: Environment | null = seen;
    // What is looked at changes all the time; only with news does that matter.
    while (environment?.usageAt?.getTime() === seen.usageAt?.getTime() && environment?.shown.status === 'running') {
      const { alerts, told } = nextAlerts(environment.alerts, usage, at);
      const subject = environment;
      const news = told.map((alert) => resourceNews(subject, alert, at));
      const after = await this.environments.recordUsage(environment, { usage, alerts, at }, news);
      if (after) {
        await this.events.tell(after);
        return true;
      }
      environment = await this.environments.find(seen.id);
    }
    return false;
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
