import { MetricsRegistry, whileScraped } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { Gauge, Histogram } from 'prom-client';
import { type Environment } from './environment';
import { EnvironmentRepository } from './environment.repository';
import { LookRepository } from './look.repository';

/** What operators see of environments as a whole. */
@Injectable()
export class EnvironmentGauges {
  private readonly startSeconds: Histogram<'template' | 'runtime' | 'outcome'>;

  constructor(
    environments: EnvironmentRepository,
    looks: LookRepository,
    private readonly clock: Clock,
    metrics: MetricsRegistry,
  ) {
    this.startSeconds = new Histogram({
      name: 'devpocket_environment_start_seconds',
      help: 'From the wish to running, or to the error',
      labelNames: ['template', 'runtime', 'outcome'],
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
      registers: [metrics],
    });
    new Gauge({
      name: 'devpocket_environments',
      help: 'Environments by status',
      labelNames: ['status'],
      registers: [metrics],
      async collect(): Promise<void> {
        const counts = await whileScraped(environments.countByStatus());
        this.reset();
        for (const [status, count] of Object.entries(counts ?? {})) this.set({ status }, count);
      },
    });
    new Gauge({
      name: 'devpocket_reconcile_lag_seconds',
      help: 'How long the environment that is due longest has been waiting for its look',
      registers: [metrics],
      async collect(): Promise<void> {
        const lag = await whileScraped(looks.lag());
        this.set(lag === null ? NaN : lag / 1000);
      },
    });
  }

  /** Measures a start that has come to its end. */
  changed(before: Environment, after: Environment): void {
    const { status } = before.shown;
    if (status !== 'creating' && status !== 'starting') return;
    if (after.shown.status !== 'running' && after.shown.status !== 'error') return;
    const seconds = (this.clock.millis() - before.since.getTime()) / 1000;
    this.startSeconds.observe(
      { template: after.template.name, runtime: after.runtimeKind, outcome: after.shown.status },
      seconds,
    );
  }
}
