import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { type RuntimeDriver, RuntimeError, type RuntimeKind, RuntimeRegistry, type Sighting } from '@devpocket/runtime';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { deadlineOf, nextLookMs, resumed, withDeadline } from './deadline.policy';
import { type Environment, type Observed } from './environment';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentGauges } from './environment-gauges';
import { EnvironmentSpecs, placeOf } from './environment-specs';
import { aimOf, decide, failureOf, observe, show, type Step } from './environment.machine';
import { type Claim, LEASE_MS, LookRepository } from './look.repository';

const AT_ONCE = 16;
/** Wishes made here wake it, and it knows when the next look is due: this is for those of other replicas and of the command line. */
const POLL_MS = 1_000;
/** One start or stop is several changes in a row. */
const GATHER_MS = 20;
/** Nothing waits for it: changes wake it. */
const NOTICES_MS = 60_000;
const STOP_GRACE_MS = 5_000;
const RENEW_MS = LEASE_MS / 3;
/** A runtime that takes longer than this for one look and act counts as one that does not answer. */
const LONGEST_LOOK_MS = 60_000;

/** Writes what is seen, alone: takes what is due, looks, decides, acts at most once, records. */
@Injectable()
export class EnvironmentReconciler implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Reconciler');
  private readonly loop: Loop;
  private readonly inFlight = new Map<Promise<void>, string>();
  /** Gathers what runtimes tell of by themselves, and makes it due. */
  private readonly notices: Loop;
  private readonly changed = new Set<string>();
  private readonly telling = new Map<RuntimeKind, () => void>();
  private stopping = false;

  constructor(
    private readonly looks: LookRepository,
    private readonly events: EnvironmentEvents,
    private readonly gauges: EnvironmentGauges,
    private readonly runtimes: RuntimeRegistry,
    private readonly specs: EnvironmentSpecs,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    this.loop = new Loop(clock, {
      name: 'reconciler',
      intervalMs: POLL_MS,
      turn: () => this.turn(),
      onError: (error) => this.logger.error({ err: error }, 'A turn failed'),
    });
    this.notices = new Loop(clock, {
      name: 'changes',
      intervalMs: NOTICES_MS,
      turn: (signal) => this.notice(signal),
      onError: (error) => this.logger.error({ err: error }, 'Changes were not taken in; they are seen a little later'),
    });
    health.addLoop(this.loop);
    health.addLoop(this.notices);
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.looks.makeAllDue();
    this.loop.start();
    for (const driver of this.runtimes.all()) {
      const end = driver.onChange((id) => {
        this.changed.add(id);
        this.notices.wake();
      });
      if (end) this.telling.set(driver.kind, end);
    }
    if (this.telling.size > 0) this.notices.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping = true;
    for (const end of this.telling.values()) end();
    await this.notices.stop();
    await this.loop.stop();
    await Promise.all(this.inFlight.keys());
  }

  /** Something was wished for: look now. */
  wake(): void {
    this.loop.wake();
  }

  /**
   * Takes what is due, up to a bound at once; each goes on by itself, so that a slow one delays no other.
   * @returns milliseconds until something is due; nothing when that is not known
   */
  async turn(): Promise<number | void> {
    while (this.inFlight.size < AT_ONCE && !this.stopping) {
      const claim = await this.looks.claim(randomUUID());
      if (claim === null) return;
      if (claim instanceof Date) return Math.max(0, claim.getTime() - this.clock.millis());
      const { id } = claim.environment;
      const work = this.process(claim).finally(() => {
        this.inFlight.delete(work);
        this.loop.wake();
        // It may have changed after it was looked at.
        if (this.changed.has(id)) this.notices.wake();
      });
      this.inFlight.set(work, id);
    }
  }

  /** Environments that are being looked at. */
  get underWay(): number {
    return this.inFlight.size;
  }

  private async notice(signal: AbortSignal): Promise<void> {
    await this.clock.wait(GATHER_MS, signal);
    const underWay = new Set(this.inFlight.values());
    const ids = [...this.changed].filter((id) => !underWay.has(id));
    for (const id of ids) this.changed.delete(id);
    if (ids.length === 0) return;
    await this.looks.makeDue(ids);
    this.loop.wake();
  }

  private async process(claim: Claim): Promise<void> {
    try {
      await this.held(claim, (lost) => this.look(claim, lost));
    } catch (error) {
      await this.failed(claim, error).catch((again: unknown) =>
        this.logger.error({ err: again }, 'A look could not be given back'),
      );
    }
  }

  /** Renews the lease while the work goes on. Work that has lost it, or that takes too long, must not act any more. */
  private async held(claim: Claim, work: (lost: AbortSignal) => Promise<void>): Promise<void> {
    const end = new AbortController();
    const hold = async (): Promise<never> => {
      for (let waited = 0; waited < LONGEST_LOOK_MS; waited += RENEW_MS) {
        await this.clock.wait(RENEW_MS, end.signal);
        if (!(await this.looks.renew(claim))) throw new Error('The lease was lost');
      }
      throw new RuntimeError('unreachable', `The runtime took longer than ${LONGEST_LOOK_MS / 1000} s`);
    };
    try {
      await Promise.race([work(end.signal), hold()]);
    } finally {
      end.abort();
    }
  }

  private async look(claim: Claim, lost: AbortSignal): Promise<void> {
    const driver = this.runtimes.get(claim.environment.runtimeKind);
    const sighting = await driver.look(placeOf(claim.environment));
    const environment = resumed(claim.environment, this.clock.now());
    const { wanted } = environment;
    const step = decide(sighting, wanted, environment.observed);
    const seen = { ...environment, observed: observe(environment.observed, sighting, wanted, environment.usage.storage) };
    const now = this.clock.now();
    const observed = step === 'settle' || step === 'fail' ? seen.observed : withDeadline(seen, now);
    if (observed.failure !== seen.observed.failure) {
      await this.record(claim, { ...environment, observed });
      return;
    }
    lost.throwIfAborted();
    if (step === 'forget') {
      // Told first: what is forgotten can be told of no more.
      await this.events.deleted(environment);
      await this.looks.forget(claim);
      return;
    }
    const done = await this.act(driver, environment, sighting, step, deadlineOf(seen, now) !== 'in_time');
    await this.record(claim, { ...environment, observed: { ...observed, ...done } });
  }

  private async act(
    driver: RuntimeDriver,
    environment: Environment,
    sighting: Sighting,
    step: Exclude<Step, 'forget'>,
    late: boolean,
  ): Promise<Partial<Observed> | null> {
    const { wanted, observed } = environment;
    const place = placeOf(environment);
    const { incarnation } = sighting.seen === 'absent' ? { incarnation: 0 } : sighting;
    switch (step) {
      case 'settle':
        return null;
      case 'wait':
        if (late && sighting.seen === 'stopping') await driver.stop(place, { incarnation, graceMs: 0, kill: true });
        return null;
      case 'start':
        return this.start(driver, environment);
      case 'stop': {
        const givenUp = aimOf(wanted, observed) === 'ended';
        await driver.stop(place, { incarnation, graceMs: givenUp ? 0 : STOP_GRACE_MS, kill: late || givenUp });
        return null;
      }
      case 'destroy':
        await driver.destroy(place);
        return null;
      case 'fail':
        return { failure: failureOf(sighting, wanted) };
    }
  }

  private async start(driver: RuntimeDriver, environment: Environment): Promise<Partial<Observed>> {
    const { generation } = environment.wanted;
    try {
      await driver.start(await this.specs.of(environment));
      return { seen: 'starting', incarnation: generation, begun: generation };
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind === 'unreachable' || error.kind === 'gone') throw error;
      const { kind, message, reason } = error;
      return { failure: { generation, reason: reason ?? 'internal', message, retryable: kind === 'refused' } };
    }
  }

  /** @param next as it is seen now: what was seen, and since when its status counts */
  private async record(claim: Claim, next: Environment, failures = 0): Promise<void> {
    const before = claim.environment;
    const { observed } = next;
    const now = this.clock.now();
    const shown = show(next.wanted, observed);
    const became = shown.status !== before.shown.status;
    const progressed = shown.phase !== before.shown.phase || shown.progress !== before.shown.progress;
    const since = became ? now : next.since;
    const told = this.telling.has(before.runtimeKind);
    const wait = nextLookMs(shown.status, observed, now.getTime() - since.getTime(), failures, told);
    const after = await this.looks.record(
      claim,
      {
        observed,
        shown,
        since,
        progressAt: progressed ? now : next.progressAt,
        ...(became && shown.status === 'running' ? { startedAt: now } : {}),
      },
      wait,
      failures,
    );
    if (!after) return;
    this.gauges.changed(before, after);
    await this.events.tell(after);
    if (wait < POLL_MS) void this.wakeIn(wait);
  }

  /** A runtime that does not answer changes nothing but the reason, and its time does not count. Any other failure is a delay. */
  private async failed(claim: Claim, error: unknown): Promise<void> {
    const { environment } = claim;
    const { observed } = environment;
    const now = this.clock.now();
    const failures = claim.failures + 1;
    if (error instanceof RuntimeError && error.kind === 'unreachable') {
      const unreachableSince = observed.unreachableSince ?? now;
      await this.record(claim, { ...environment, observed: { ...observed, unreachableSince } }, failures);
      return;
    }
    this.logger.warn({ err: error, environment_id: environment.id }, 'A look failed');
    const next = resumed(environment, now);
    await this.record(claim, { ...next, observed: withDeadline(next, now) }, failures);
  }

  private async wakeIn(ms: number): Promise<void> {
    await this.clock.wait(ms);
    if (!this.stopping) this.loop.wake();
  }
}
