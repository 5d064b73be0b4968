import { TerminalSettings } from '@devpocket/config';
import { ActivityRecorder, EnvironmentEvents, type LocatedEnvironment } from '@devpocket/environments';
import { HealthRegistry, MetricsRegistry } from '@devpocket/http';
import { Clock, DomainError, Loop } from '@devpocket/kernel';
import { type RuntimeDriver, RuntimeError, RuntimeRegistry, type TerminalExit } from '@devpocket/runtime';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { Counter, Gauge } from 'prom-client';
import { SESSION_ID } from './query.protocol';
import { type ScreenFormat } from './screen.messages';
import { ScreenThread } from './screen-thread';
import { type ScreenAt } from './session-screen';
import { TerminalSession } from './terminal-session';

/** How long an ended session keeps its tail and exit. */
const REMEMBER_MS = 10 * 60_000;
const SWEEP_MS = 10_000;
/** Shells that are taken over, of those that run and those that have ended, for each that may run. */
const MOST_ADOPTED = 4;

export interface SessionView {
  readonly sessionId: string;
  readonly createdAt: Date;
  readonly attached: number;
  readonly cols: number;
  readonly rows: number;
  readonly lastOutputAt: Date | null;
  readonly exit: TerminalExit | null;
}

/** The shells of all environments that somebody has opened here. Sockets come and go; these stay. */
@Injectable()
export class TerminalSessionsService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly sessions = new Map<string, TerminalSession>(); // by `keyOf`
  /** Closed by request, by when: a runtime still remembers how they ended. */
  private readonly removed = new Map<string, number>();
  /** Opening and adopting go one after another within an environment. */
  private readonly turns = new Map<string, Promise<unknown>>();
  /** Printed, and not counted in the metrics yet: a counter's labels are too much for every piece. */
  private printed = 0;
  private readonly loop: Loop;
  private readonly screens: ScreenThread;
  private unsubscribe: () => void = () => undefined;

  constructor(
    private readonly runtimes: RuntimeRegistry,
    private readonly settings: TerminalSettings,
    private readonly activity: ActivityRecorder,
    private readonly events: EnvironmentEvents,
    private readonly clock: Clock,
    metrics: MetricsRegistry,
    health: HealthRegistry,
  ) {
    const { sessions } = this;
    this.screens = new ScreenThread(clock);
    new Gauge({
      name: 'devpocket_terminal_sessions',
      help: 'Shells that are open',
      registers: [metrics],
      collect(): void {
        this.set([...sessions.values()].filter(({ alive }) => alive).length);
      },
    });
    const taken = (): number => {
      const { printed } = this;
      this.printed = 0;
      return printed;
    };
    new Counter({
      name: 'devpocket_terminal_output_bytes_total',
      help: 'Bytes that shells have printed',
      registers: [metrics],
      collect(): void {
        this.inc(taken());
      },
    });
    this.loop = new Loop(clock, { name: 'terminals', intervalMs: SWEEP_MS, turn: () => this.sweep() });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
    this.unsubscribe = this.events.subscribe((event) => {
      if (event.type === 'environment.deleted') this.forgetAll(event.environmentId);
      if (event.type !== 'environment.status') return;
      const { status, reason, message, statusVersion, desired } = event;
      const told = {
        type: 'status',
        status,
        desired_status: desired,
        status_reason: reason,
        status_message: message,
        status_version: statusVersion,
      };
      for (const session of this.of(event.environmentId)) {
        session.tell(told);
        if (status !== 'running') session.release();
        if (desired === 'deleted') session.deleted();
      }
    });
  }

  async onModuleDestroy(): Promise<void> {
    this.unsubscribe();
    await this.loop.stop();
    this.leaveAll();
    await this.screens.stop();
  }

  /** The server goes: where the runtime can, its shells stay for the next. */
  leaveAll(): void {
    for (const session of this.sessions.values()) session.leave();
    this.sessions.clear();
  }

  /** @throws DomainError `environment_not_running | session_limit | unavailable` */
  open(environment: LocatedEnvironment, cols: number, rows: number): Promise<TerminalSession> {
    return this.inTurn(environment.id, async () => {
      if (environment.status !== 'running') throw notRunning(environment);
      await this.adoptAll(environment);
      await this.makeRoom(environment.id);
      const sessionId = randomBytes(12).toString('hex');
      return this.keep(
        environment,
        await this.ask((driver) => driver.openTerminal(environment.place, { sessionId, cols, rows }), environment),
      );
    });
  }

  /** A session that exists, here or in a runtime whose shells outlived the last server. @throws DomainError `not_found | unavailable` */
  async find(environment: LocatedEnvironment, sessionId: string): Promise<TerminalSession> {
    const key = keyOf(environment.id, sessionId);
    const known = this.sessions.get(key);
    if (known) return known;
    return this.inTurn(environment.id, async () => {
      await this.adoptAll(environment);
      const found = this.sessions.get(key);
      if (!found) throw DomainError.notFound('Session');
      return found;
    });
  }

  async list(environment: LocatedEnvironment): Promise<readonly SessionView[]> {
    await this.inTurn(environment.id, () => this.adoptAll(environment));
    return this.of(environment.id).map((session) => ({
      sessionId: session.id,
      createdAt: session.createdAt,
      attached: session.attached,
      ...session.describe(),
    }));
  }

  /** The screen as it stands, also of a shell that has ended. @throws DomainError `not_found | unavailable` */
  async screen(environment: LocatedEnvironment, sessionId: string, format: ScreenFormat): Promise<ScreenAt> {
    const session = await this.find(environment, sessionId);
    try {
      return await session.picture(format);
    } catch (cause) {
      throw new DomainError('unavailable', 'unavailable', 'The screen cannot be had now; try again', { cause, retryAfter: 1 });
    }
  }

  /** Ends the shell, or forgets one that has ended. @throws DomainError `not_found` */
  async remove(environment: LocatedEnvironment, sessionId: string): Promise<void> {
    const session = await this.find(environment, sessionId);
    await this.close(session);
  }

  /** Is there a shell of it here, or one that ended a moment ago? */
  has(environmentId: string): boolean {
    return this.of(environmentId).length > 0;
  }

  /** Another replica has the shells of this environment now: who is attached here comes back there. */
  handOver(environmentId: string): void {
    for (const session of this.of(environmentId)) {
      session.handOver();
      this.drop(keyOf(environmentId, session.id));
    }
  }

  private async close(session: TerminalSession): Promise<void> {
    if (session.alive) await session.kill();
    const key = keyOf(session.environmentId, session.id);
    this.drop(key);
    this.removed.set(key, this.clock.millis());
  }

  private of(environmentId: string): TerminalSession[] {
    return [...this.sessions.values()].filter((session) => session.environmentId === environmentId);
  }

  /** Takes over what outlived the server that opened it; of what an environment says of that so much as a server would have. */
  private async adoptAll(environment: LocatedEnvironment): Promise<void> {
    const driver = this.runtimes.get(environment.runtimeKind);
    if (!driver.durableTerminals) return;
    const records = await this.ask(() => driver.terminals(environment.place), environment);
    const isNew = (sessionId: string): boolean => {
      const key = keyOf(environment.id, sessionId);
      return SESSION_ID.test(sessionId) && !this.sessions.has(key) && !this.removed.has(key);
    };
    const room = MOST_ADOPTED * this.settings.maxSessionsPerEnvironment - this.of(environment.id).length;
    const newest = records
      .filter(({ sessionId }) => isNew(sessionId))
      .sort((a, b) => Number(a.exit !== null) - Number(b.exit !== null) || b.createdAt.getTime() - a.createdAt.getTime())
      .slice(0, Math.max(0, room));
    for (const { sessionId } of newest) {
      try {
        await this.keep(environment, await driver.adoptTerminal(environment.place, sessionId));
      } catch (error) {
        if (!(error instanceof RuntimeError) || (error.kind !== 'gone' && error.kind !== 'refused')) throw unavailable(error);
      }
    }
  }

  /** The oldest session that nobody is attached to and where nothing runs gives way. */
  private async makeRoom(environmentId: string): Promise<void> {
    const alive = this.of(environmentId).filter((session) => session.alive);
    if (alive.length < this.settings.maxSessionsPerEnvironment) return;
    const detached = alive.filter(({ attached }) => attached === 0).sort((a, b) => a.lastUse - b.lastUse);
    for (const session of detached) {
      const busy = await session.foregroundBusy();
      if (busy === true || session.attached > 0) continue;
      await this.close(session);
      return;
    }
    throw new DomainError(
      'rate_limited',
      'session_limit',
      `At most ${this.settings.maxSessionsPerEnvironment} terminals an environment; close one first`,
      { retryAfter: 5 },
    );
  }

  private async keep(
    environment: LocatedEnvironment,
    channel: ConstructorParameters<typeof TerminalSession>[0],
  ): Promise<TerminalSession> {
    const touch = (): void => this.activity.touch(environment.id);
    const listener = { output: (bytes: number) => void (this.printed += bytes), typed: touch, ended: () => undefined };
    const { bufferBytes } = this.settings;
    const session = new TerminalSession(channel, environment.id, bufferBytes, this.clock, listener, this.screens);
    await session.restored;
    const key = keyOf(environment.id, session.id);
    this.sessions.set(key, session);
    void channel.ended.then(({ elsewhere }) => {
      if (elsewhere === true && this.sessions.get(key) === session) this.drop(key);
    });
    return session;
  }

  /** Forgets what ended long ago, and notes work that goes on in the foreground of shells that print. */
  private async sweep(): Promise<void> {
    const now = this.clock.millis();
    for (const [key, at] of this.removed) if (at < now - 2 * REMEMBER_MS) this.removed.delete(key);
    for (const [key, { endedAt, attached }] of this.sessions)
      if (endedAt && endedAt.getTime() < now - REMEMBER_MS && attached === 0) this.drop(key);
    // At once: one environment may take its time to answer.
    await Promise.all([...this.sessions.values()].map((session) => this.note(session, now)));
  }

  private async note(session: TerminalSession, now: number): Promise<void> {
    const { lastOutputAt } = session.describe();
    if (!session.alive || !lastOutputAt || lastOutputAt.getTime() < now - SWEEP_MS) return;
    const busy = await session.foregroundBusy().catch(() => null);
    if (busy ?? session.quietTyping) this.activity.touch(session.environmentId);
  }

  private forgetAll(environmentId: string): void {
    for (const session of this.of(environmentId)) this.drop(keyOf(environmentId, session.id));
  }

  private drop(key: string): void {
    this.sessions.get(key)?.forget();
    this.sessions.delete(key);
  }

  private async ask<T>(call: (driver: RuntimeDriver) => Promise<T>, environment: LocatedEnvironment): Promise<T> {
    try {
      return await call(this.runtimes.get(environment.runtimeKind));
    } catch (error) {
      if (error instanceof RuntimeError && error.kind === 'gone') throw notRunning({ ...environment, status: 'stopping' });
      throw unavailable(error);
    }
  }

  private async inTurn<T>(environmentId: string, work: () => Promise<T>): Promise<T> {
    const before = this.turns.get(environmentId) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.turns.set(environmentId, turn);
    try {
      return await turn;
    } finally {
      if (this.turns.get(environmentId) === turn) this.turns.delete(environmentId);
    }
  }
}

/** An id is what an environment says of its own shells: another's may have the same. */
function keyOf(environmentId: string, sessionId: string): string {
  return `${environmentId}/${sessionId}`;
}

function notRunning({ status }: LocatedEnvironment): DomainError {
  return new DomainError('invalid_state', 'environment_not_running', `The environment is ${status}`, { extra: { status } });
}

function unavailable(error: unknown): unknown {
  if (!(error instanceof RuntimeError)) return error;
  const why = error.kind === 'refused' ? `The runtime refuses: ${error.message}` : 'The runtime does not answer; try again';
  return new DomainError('unavailable', 'unavailable', why, { cause: error });
}
