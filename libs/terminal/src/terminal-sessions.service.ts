import { TerminalSettings } from '@devpocket/config';
import { ActivityRecorder, EnvironmentEvents, type LocatedEnvironment } from '@devpocket/environments';
import { HealthRegistry, MetricsRegistry } from '@devpocket/http';
import { Clock, DomainError, Loop } from '@devpocket/kernel';
import { RuntimeError, RuntimeRegistry } from '@devpocket/runtime';
import {
  type ScreenAt,
  type ScreenFormat,
  ScreenThread,
  SessionStore,
  type SessionView,
  type ShellSource,
  SWEEP_MS,
  type TerminalSession,
} from '@devpocket/terminal-session';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';

/** The shells whose sessions this server holds. */
@Injectable()
export class TerminalSessionsService implements OnApplicationBootstrap, OnModuleDestroy {
  /** Printed, and not counted in the metrics yet: a counter's labels are too much for every piece. */
  private printed = 0;
  private readonly store: SessionStore;
  private readonly loop: Loop;
  private readonly screens: ScreenThread;
  private unsubscribe: () => void = () => undefined;

  constructor(
    private readonly runtimes: RuntimeRegistry,
    settings: TerminalSettings,
    activity: ActivityRecorder,
    private readonly events: EnvironmentEvents,
    clock: Clock,
    metrics: MetricsRegistry,
    health: HealthRegistry,
  ) {
    this.screens = new ScreenThread(clock);
    const store = new SessionStore(settings, clock, this.screens, {
      output: (bytes) => void (this.printed += bytes),
      active: (environmentId) => activity.touch(environmentId),
    });
    this.store = store;
    new Gauge({
      name: 'devpocket_terminal_sessions',
      help: 'Shells that are open',
      registers: [metrics],
      collect(): void {
        this.set(store.alive);
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
    this.loop = new Loop(clock, { name: 'terminals', intervalMs: SWEEP_MS, turn: () => store.sweep() });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
    this.unsubscribe = this.events.subscribe((event) => {
      if (event.type === 'environment.deleted') this.store.forgetAll(event.environmentId);
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
      this.store.told(event.environmentId, told, status === 'running', desired === 'deleted');
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
    this.store.leaveAll();
  }

  /** @throws DomainError `environment_not_running | session_limit | unavailable` */
  open(environment: LocatedEnvironment, cols: number, rows: number): Promise<TerminalSession> {
    if (environment.status !== 'running') return Promise.reject(notRunning(environment));
    return this.ask(environment, (source) => this.store.open(source, cols, rows));
  }

  /** A session that exists, here or in a runtime whose shells outlived the last server. @throws DomainError `not_found | unavailable` */
  find(environment: LocatedEnvironment, sessionId: string): Promise<TerminalSession> {
    return this.ask(environment, (source) => this.store.find(source, sessionId));
  }

  list(environment: LocatedEnvironment): Promise<readonly SessionView[]> {
    return this.ask(environment, (source) => this.store.list(source));
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
    await this.store.close(await this.find(environment, sessionId));
  }

  /** Is there a shell of it here, or one that ended a moment ago? */
  has(environmentId: string): boolean {
    return this.store.of(environmentId).length > 0;
  }

  /** Another replica has the shells of this environment now: who is attached here comes back there. */
  handOver(environmentId: string): void {
    this.store.handOver(environmentId);
  }

  private async ask<T>(environment: LocatedEnvironment, work: (source: ShellSource) => Promise<T>): Promise<T> {
    try {
      const driver = this.runtimes.get(environment.runtimeKind);
      const { id, place } = environment;
      const kept = driver.durableTerminals
        ? {
            records: () => driver.terminals(place),
            adopt: (sessionId: string) => driver.adoptTerminal(place, sessionId),
          }
        : null;
      return await work({ environmentId: id, open: (request) => driver.openTerminal(place, request), kept });
    } catch (error) {
      if (error instanceof RuntimeError && error.kind === 'gone') throw notRunning({ ...environment, status: 'stopping' });
      throw unavailable(error);
    }
  }
}

function notRunning({ status }: LocatedEnvironment): DomainError {
  return new DomainError('invalid_state', 'environment_not_running', `The environment is ${status}`, { extra: { status } });
}

function unavailable(error: unknown): unknown {
  if (!(error instanceof RuntimeError)) return error;
  const why = error.kind === 'refused' ? `The runtime refuses: ${error.message}` : 'The runtime does not answer; try again';
  return new DomainError('unavailable', 'unavailable', why, { cause: error });
}
