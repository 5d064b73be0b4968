import { TerminalSettings } from '@devpocket/config';
import { ActivityRecorder, EnvironmentEvents, type LocatedEnvironment } from '@devpocket/environments';
import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { RuntimeRegistry } from '@devpocket/runtime';
import {
  readSessions,
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
import { HostedSessions } from './hosted-sessions';
import { asking, notRunning } from './runtime-trouble';

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
    private readonly hosted: HostedSessions,
    clock: Clock,
    health: HealthRegistry,
  ) {
    this.screens = new ScreenThread(clock);
    this.store = new SessionStore(settings, clock, this.screens, {
      output: (bytes) => void (this.printed += bytes),
      active: (environmentId) => activity.touch(environmentId),
    });
    this.loop = new Loop(clock, { name: 'terminals', intervalMs: SWEEP_MS, turn: () => this.store.sweep() });
    health.addLoop(this.loop);
  }

  /** Shells that are open. */
  get alive(): number {
    return this.store.alive;
  }

  /** Bytes printed since this was asked last. */
  takePrinted(): number {
    const { printed } = this;
    this.printed = 0;
    return printed;
  }

  onApplicationBootstrap(): void {
    this.loop.start();
    this.unsubscribe = this.events.subscribe((event) => {
      const { environmentId } = event;
      if (event.type === 'environment.deleted') {
        this.store.forgetAll(environmentId);
        this.hosted.tell({ call: 'forget', environmentId });
      }
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
      const runs = status === 'running';
      const deleted = desired === 'deleted';
      this.store.told(environmentId, told, runs, deleted);
      this.hosted.tell({ call: 'told', environmentId, message: told, runs, deleted });
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

  async list(environment: LocatedEnvironment): Promise<readonly SessionView[]> {
    if (!this.hosted.has(environment)) return this.ask(environment, (source) => this.store.list(source));
    const { id: environmentId } = environment;
    return readSessions(await asking(() => this.hosted.call(environment, { call: 'list', environmentId })));
  }

  /** The screen as it stands, also of a shell that has ended. @throws DomainError `not_found | unavailable` */
  async screen(environment: LocatedEnvironment, sessionId: string, format: ScreenFormat): Promise<ScreenAt> {
    const { id: environmentId } = environment;
    if (this.hosted.has(environment))
      return (await asking(() =>
        this.hosted.call(environment, { call: 'screen', environmentId, sessionId, format }),
      )) as ScreenAt;
    const session = await this.find(environment, sessionId);
    return this.store.picture(session, format);
  }

  /** Ends the shell, or forgets one that has ended. @throws DomainError `not_found` */
  async remove(environment: LocatedEnvironment, sessionId: string): Promise<void> {
    const { id: environmentId } = environment;
    if (this.hosted.has(environment))
      await asking(() => this.hosted.call(environment, { call: 'remove', environmentId, sessionId }));
    else await this.store.close(await this.find(environment, sessionId));
  }

  /** Is there a shell of it here, or one that ended a moment ago? */
  has(environmentId: string): boolean {
    return this.store.of(environmentId).length > 0;
  }

  /** Another replica has the shells of this environment now: who is attached here comes back there. */
  handOver(environmentId: string): void {
    this.store.handOver(environmentId);
  }

  private ask<T>(environment: LocatedEnvironment, work: (source: ShellSource) => Promise<T>): Promise<T> {
    return asking(() => {
      const driver = this.runtimes.get(environment.runtimeKind);
      const { id, place } = environment;
      const kept = driver.durableTerminals
        ? {
            records: () => driver.terminals(place),
            adopt: (sessionId: string) => driver.adoptTerminal(place, sessionId),
          }
        : null;
      return work({ environmentId: id, open: (request) => driver.openTerminal(place, request), kept });
    });
  }
}
