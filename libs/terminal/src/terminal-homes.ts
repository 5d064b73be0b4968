import { type LocatedEnvironment } from '@devpocket/environments';
import { HealthRegistry } from '@devpocket/http';
import { Clock, DomainError, Loop } from '@devpocket/kernel';
import { Homes } from '@devpocket/shared-state';
import { readSessions, type ScreenAt, type ScreenFormat, type SessionView } from '@devpocket/terminal-session';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { type Elsewhere, ReplicaClient, ReplicaGone } from './replica-client';
import { TerminalSessionsService } from './terminal-sessions.service';

/** Longer than a lease: who asks while a replica dies is answered by its heir. */
const PATIENCE_MS = 12_000;
const AGAIN_MS = 200;
const SWEEP_MS = 10_000;
/** How long an environment without a shell stays at home where it was used last. */
const UNUSED_MS = 60_000;

/**
 * The terminals of an environment live together, at one replica: there its limit of sessions counts, and its shells are held. Whichever
 * replica is asked, it is done there.
 */
@Injectable()
export class TerminalHomes implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly loop: Loop;
  private readonly used = new Map<string, number>();
  private stopListening: () => void = () => undefined;

  constructor(
    private readonly homes: Homes,
    private readonly sessions: TerminalSessionsService,
    private readonly replicas: ReplicaClient,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    this.loop = new Loop(clock, { name: 'terminal-homes', intervalMs: SWEEP_MS, turn: () => this.sweep() });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.stopListening = this.homes.onLost((environmentId) => {
      this.used.delete(environmentId);
      this.sessions.handOver(environmentId);
    });
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopListening();
    await this.loop.stop();
  }

  list(environment: LocatedEnvironment): Promise<readonly SessionView[]> {
    return this.at(
      environment.id,
      () => this.sessions.list(environment),
      async (home) => readSessions(await this.replicas.call(home, { call: 'list', environment })),
    );
  }

  /** The screen as it stands, also of a shell that has ended. @throws DomainError `not_found | unavailable` */
  screen(environment: LocatedEnvironment, sessionId: string, format: ScreenFormat): Promise<ScreenAt> {
    return this.at(
      environment.id,
      () => this.sessions.screen(environment, sessionId, format),
      (home) => this.replicas.call(home, { call: 'screen', environment, sessionId, format }) as Promise<ScreenAt>,
    );
  }

  /** Ends the shell, or forgets one that has ended. @throws DomainError `not_found | unavailable` */
  remove(environment: LocatedEnvironment, sessionId: string): Promise<void> {
    return this.at(
      environment.id,
      () => this.sessions.remove(environment, sessionId),
      async (home) => void (await this.replicas.call(home, { call: 'remove', environment, sessionId })),
    );
  }

  /**
   * Does `here` where the terminals of an environment live at this replica, `there` where they live at another.
   * @param there throws ReplicaGone when that one does not answer: then it is asked again where they live
   * @throws DomainError `unavailable`
   */
  async at<T>(environmentId: string, here: () => Promise<T>, there: (home: Elsewhere) => Promise<T>): Promise<T> {
    const end = this.clock.millis() + PATIENCE_MS;
    for (;;) {
      const home = await this.homes.claim(environmentId);
      if (home.here) {
        this.used.set(environmentId, this.clock.millis());
        return here();
      }
      try {
        return await there(home);
      } catch (error) {
        if (!(error instanceof ReplicaGone)) throw error;
        if (this.clock.millis() > end)
          throw new DomainError(
            'unavailable',
            'unavailable',
            'The terminals of this environment cannot be reached now; try again',
            {
              cause: error,
              retryAfter: 1,
            },
          );
        await this.clock.wait(AGAIN_MS);
      }
    }
  }

  /** Does it live here? Another replica says so. */
  isHere(environmentId: string): boolean {
    return this.homes.held().has(environmentId);
  }

  private async sweep(): Promise<void> {
    const before = this.clock.millis() - UNUSED_MS;
    for (const id of this.homes.held()) {
      if ((this.used.get(id) ?? 0) > before || this.sessions.has(id)) continue;
      this.used.delete(id);
      await this.homes.release(id);
    }
  }
}
