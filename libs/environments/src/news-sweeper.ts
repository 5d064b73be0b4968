import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { EnvironmentEvents } from './environment-events';
import { EventLogRepository } from './event-log.repository';
import { NewsRepository } from './news.repository';

const SWEEP_MS = 2_000;
const AT_ONCE = 100;
const TRIM_MS = 3_600_000;

/** Tells what was written by a server that died before it told it, and removes events that are too old. */
@Injectable()
export class NewsSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly sweeping: Loop;
  private readonly trimming: Loop;

  constructor(
    private readonly events: EnvironmentEvents,
    private readonly news: NewsRepository,
    private readonly log: EventLogRepository,
    clock: Clock,
    health: HealthRegistry,
  ) {
    const logger = new Logger('NewsSweeper');
    const onError = (error: unknown): void => logger.error({ err: error }, 'A turn failed');
    this.sweeping = new Loop(clock, { name: 'news', intervalMs: SWEEP_MS, turn: () => this.sweep(), onError });
    this.trimming = new Loop(clock, { name: 'event-log', intervalMs: TRIM_MS, turn: () => this.log.removeOld(), onError });
    health.addLoop(this.sweeping);
    health.addLoop(this.trimming);
  }

  onApplicationBootstrap(): void {
    this.sweeping.start();
    this.trimming.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.sweeping.stop();
    await this.trimming.stop();
  }

  /** @returns whether there may be more */
  async sweep(): Promise<boolean> {
    const overdue = await this.news.overdue(AT_ONCE);
    for (const environment of overdue) await this.events.tellAll(environment);
    return overdue.length === AT_ONCE;
  }
}
