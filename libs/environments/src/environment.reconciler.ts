import { HealthRegistry, MetricsRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import {
  type EnvironmentSpec,
  type Place,
  type RuntimeDriver,
  RuntimeError,
  RuntimeRegistry,
  type Sighting,
} from '@devpocket/runtime';
import { UsersService } from '@devpocket/users';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Gauge, Histogram } from 'prom-client';
import { randomUUID } from 'node:crypto';
import { deadlineOf, nextLookMs } from './deadline.policy';
import { type Environment, type Failure, type Observed } from './environment';
import { EnvironmentEvents } from './environment-events';
import { decide, failureOf, observe, show, type Step } from './environment.machine';
import { type Claim, EnvironmentRepository } from './environment.repository';

const AT_ONCE = 16;
const POLL_MS = 250;
const STOP_GRACE_MS = 5_000;

/** What one look came to. */
interface Outcome {
  readonly observed: Observed;
  readonly forgotten?: boolean;
}

/** Writes what is seen, alone: takes what is due, looks, decides, acts at most once, records. */
@Injectable()
export class EnvironmentReconciler implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Reconciler');
  private readonly loop: Loop;
  private readonly inFlight = new Set<Promise<void>>();
  private readonly startSeconds: Histogram<'template' | 'runtime' | 'outcome'>;
  private stopping = false;

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly events: EnvironmentEvents,
    private readonly runtimes: RuntimeRegistry,
    private readonly users: UsersService,
    private readonly clock: Clock,
    metrics: MetricsRegistry,
    health: HealthRegistry,
  ) {
    this.loop = new Loop(clock, {
      name: 'reconciler',
      intervalMs: POLL_MS,
      turn: () => this.turn(),
      onError: (error) => this.logger.error({ err: error }, 'A turn failed'),
    });
    health.addLoop(this.loop);
    this.startSeconds = new Histogram({
      name: 'devpocket_environment_start_seconds',
      help: 'From the wish to running, or to the error',
      labelNames: ['template', 'runtime', 'outcome'],
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
      registers: [metrics],
    });
    const repository = environments;
    new Gauge({
      name: 'devpocket_environments',
      help: 'Environments by status',
      labelNames: ['status'],
      registers: [metrics],
      async collect(): Promise<void> {
        this.reset();
        for (const [status, count] of Object.entries(await repository.countByStatus())) this.set({ status }, count);
      },
    });
    new Gauge({
      name: 'devpocket_reconcile_lag_seconds',
      help: 'How long the environment that is due longest has been waiting for its look',
      registers: [metrics],
      async collect(): Promise<void> {
        this.set((await repository.lag()) / 1000);
      },
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.environments.makeAllDue();
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping = true;
    await this.loop.stop();
    await Promise.all(this.inFlight);
  }

  /** Something was wished for: look now. */
  wake(): void {
    this.loop.wake();
  }

  /** Takes what is due, up to a bound at once; each goes on by itself, so that a slow one delays no other. */
  async turn(): Promise<void> {
    while (this.inFlight.size < AT_ONCE && !this.stopping) {
      const claim = await this.environments.claim(randomUUID());
      if (!claim) return;
      const work = this.process(claim).finally(() => {
        this.inFlight.delete(work);
        this.loop.wake();
      });
      this.inFlight.add(work);
    }
  }

  /** Resolves when nothing is being looked at; for tests and the stop. */
  async idle(): Promise<void> {
    await Promise.all(this.inFlight);
  }

  private async process(claim: Claim): Promise<void> {
    try {
      const driver = this.runtimes.get(claim.environment.runtimeKind);
      const sighting = await driver.look(placeOf(claim.environment));
      const outcome = await this.step(driver, claim, sighting);
      if (!outcome.forgotten) await this.record(claim, outcome.observed);
    } catch (error) {
      await this.failed(claim, error).catch((again: unknown) =>
        this.logger.error({ err: again }, 'A look could not be given back'),
      );
    }
  }

  private async step(driver: RuntimeDriver, claim: Claim, sighting: Sighting): Promise<Outcome> {
    const { environment } = claim;
    const { wanted } = environment;
    const observed = observe(environment.observed, sighting, wanted);
    const step = decide(sighting, wanted, environment.observed);
    const now = this.clock.now();
    const deadline = deadlineOf({ ...environment, observed }, now);
    if (deadline === 'start_timeout' && step !== 'settle' && step !== 'fail') {
      return { observed: { ...observed, failure: this.failure(environment, 'start_timeout', 'It did not start in time') } };
    }
    const overdue = deadline === 'stop_timeout' || deadline === 'delete_failed' ? deadline : null;
    const done = await this.act(driver, claim, sighting, step, deadline !== 'in_time');
    if (done === 'forgotten') return { observed, forgotten: true };
    return { observed: { ...observed, ...done, overdue: done?.overdue ?? overdue } };
  }

  private async act(
    driver: RuntimeDriver,
    claim: Claim,
    sighting: Sighting,
    step: Step,
    late: boolean,
  ): Promise<Partial<Observed> | 'forgotten' | null> {
    const { environment } = claim;
    const { wanted } = environment;
    const place = placeOf(environment);
    switch (step) {
      case 'settle':
      case 'wait':
        if (step === 'wait' && late && sighting.seen === 'stopping')
          await driver.stop(place, { incarnation: sighting.incarnation, graceMs: 0, kill: true });
        return null;
      case 'start':
        return this.start(driver, environment);
      case 'stop':
        if (sighting.seen !== 'absent') {
          const incarnation = sighting.incarnation;
          const ended = wanted.desired === 'running' && environment.observed.failure?.generation === wanted.generation;
          await driver.stop(place, { incarnation, graceMs: ended ? 0 : STOP_GRACE_MS, kill: late || ended });
        }
        return null;
      case 'destroy':
        await driver.destroy(place);
        return null;
      case 'forget':
        if (await this.environments.forget(claim)) await this.events.deleted(environment);
        return 'forgotten';
      case 'fail':
        return { failure: failureOf(sighting, wanted) };
    }
  }

  private async start(driver: RuntimeDriver, environment: Environment): Promise<Partial<Observed>> {
    const { generation } = environment.wanted;
    try {
      await driver.start(await this.specOf(environment));
      return { seen: 'starting', incarnation: generation, begun: generation };
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind === 'unreachable' || error.kind === 'gone') throw error;
      return { failure: this.failure(environment, error.reason ?? 'internal', error.message, error.kind === 'refused') };
    }
  }

  private failure(environment: Environment, reason: Failure['reason'], message: string, retryable = true): Failure {
    return { generation: environment.wanted.generation, reason, message, retryable };
  }

  private async record(claim: Claim, observed: Observed): Promise<void> {
    const { environment } = claim;
    const now = this.clock.now();
    const { unreachableSince } = environment.observed;
    const shown = show(environment.wanted, observed);
    const became = shown.status !== environment.shown.status;
    const progressed = shown.phase !== environment.shown.phase || shown.progress !== environment.shown.progress;
    // Time in which the runtime did not answer does not count.
    const pause = unreachableSince && !observed.unreachableSince ? now.getTime() - unreachableSince.getTime() : 0;
    const since = became ? now : pause > 0 ? new Date(environment.since.getTime() + pause) : undefined;
    const after = await this.environments.record(
      claim,
      {
        observed,
        shown,
        ...(since ? { since } : {}),
        ...(progressed || pause > 0 ? { progressAt: now } : {}),
        ...(became && shown.status === 'running' ? { startedAt: now } : {}),
      },
      nextLookMs(shown.status, now.getTime() - (since ?? environment.since).getTime(), 0),
    );
    if (!after) return;
    if (became) this.measure(environment, after);
    await this.events.changed(environment, after);
    const soon = nextLookMs(shown.status, now.getTime() - after.since.getTime(), 0);
    if (soon < POLL_MS) void this.wakeIn(soon);
  }

  /** The runtime not answering changes nothing but the reason; any other failure is looked at again later. */
  private async failed(claim: Claim, error: unknown): Promise<void> {
    const { environment, failures } = claim;
    const unreachable = error instanceof RuntimeError && error.kind === 'unreachable';
    if (!unreachable) this.logger.warn({ err: error, environment_id: environment.id }, 'A look failed');
    const wait = nextLookMs(environment.shown.status, 0, failures + 1);
    if (!unreachable || environment.observed.unreachableSince) {
      await this.environments.release(claim, wait, failures + 1);
      return;
    }
    const observed = { ...environment.observed, unreachableSince: this.clock.now() };
    const after = await this.environments.record(claim, { observed, shown: show(environment.wanted, observed) }, wait);
    if (after) await this.events.changed(environment, after);
  }

  private measure(before: Environment, after: Environment): void {
    const { status } = before.shown;
    if (status !== 'creating' && status !== 'starting') return;
    if (after.shown.status !== 'running' && after.shown.status !== 'error') return;
    const seconds = (this.clock.millis() - before.since.getTime()) / 1000;
    this.startSeconds.observe(
      { template: after.template.name, runtime: after.runtimeKind, outcome: after.shown.status },
      seconds,
    );
  }

  private async wakeIn(ms: number): Promise<void> {
    await this.clock.wait(ms);
    if (!this.stopping) this.loop.wake();
  }

  private async specOf(environment: Environment): Promise<EnvironmentSpec> {
    return {
      ...placeOf(environment),
      incarnation: environment.wanted.generation,
      name: environment.name,
      image: environment.image,
      defaultPort: environment.defaultPort,
      resources: environment.limits,
      environmentVariables: { ...environment.templateVariables, ...environment.environmentVariables },
      startupCommands: environment.startupCommands,
      soleUser: await this.users.isSoleUser(),
    };
  }
}

export function placeOf(environment: Environment): Place {
  return { environmentId: environment.id, userId: environment.userId, clusterId: environment.clusterId };
}
