import { Authenticator, checkScope, concerns, type Principal, type Revocation } from '@devpocket/access';
import { TerminalSettings } from '@devpocket/config';
import { ActivityRecorder } from '@devpocket/environments';
import { type EdgeSocket, HealthRegistry } from '@devpocket/http';
import { CLOSE, closeWithError, SocketPulse } from '@devpocket/websocket';
import { Clock, DomainError, Loop } from '@devpocket/kernel';
import { HeadCounts } from '@devpocket/shared-state';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { type Duplex } from 'node:stream';
import { type WebSocket } from 'ws';

const LOOK_MS = 1_000;
/** How long a credential's end may go unheard: the command line and other processes tell nobody here. */
const CONFIRM_MS = 5_000;
/** No handshake takes longer. */
const HEARD_MS = 60_000;
const REVOKED = 'This session has ended; sign in again';

interface Open {
  readonly socket: WebSocket;
  readonly stream: Duplex;
  readonly environmentId: string;
  principal: Principal;
  /** It lives as long as what the ticket was given to, whatever token is told. */
  readonly byTicket: boolean;
  /** Null: it does not expire. */
  expiresAt: Date | null;
  readonly pulse: SocketPulse;
  /** When its credential was last looked up. */
  confirmedAt: number;
  /** Counts among its user's sockets. */
  admitted: boolean;
}

/** Every open socket: how many a user has, whose credential ended, who went silent. */
@Injectable()
export class SocketRegistry implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly open = new Set<Open>();
  /** Whose credentials ended lately, and when that was heard: who was judged before may come here after. */
  private readonly heard = new Map<string, number>();
  /** When some may have gone unheard. */
  private missedAt = -Infinity;
  private readonly loop: Loop;
  private stopListening: () => void = () => undefined;

  constructor(
    private readonly authenticator: Authenticator,
    private readonly settings: TerminalSettings,
    private readonly activity: ActivityRecorder,
    private readonly heads: HeadCounts,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    this.loop = new Loop(clock, { name: 'sockets', intervalMs: LOOK_MS, turn: () => this.look() });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.stopListening = this.authenticator.onRevoked(
      (revocation) => this.revoked(revocation),
      () => this.confirmAll(),
    );
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopListening();
    await this.loop.stop();
  }

  /** From its first moment on: what ends its credential closes it, whatever it is waiting for. */
  add({ socket, stream, principal, environmentId, byTicket }: EdgeSocket): Open {
    const now = this.clock.millis();
    const entry: Open = {
      socket,
      stream,
      principal,
      environmentId,
      byTicket,
      expiresAt: byTicket ? null : principal.expiresAt,
      pulse: new SocketPulse(socket, () => this.clock.millis()),
      confirmedAt: now,
      admitted: false,
    };
    this.open.add(entry);
    if (now - Math.max(this.missedAt, this.heard.get(principal.userId) ?? -Infinity) < HEARD_MS) void this.confirm([entry]);
    socket.on('close', () => {
      this.open.delete(entry);
      this.count(environmentId);
      if (entry.admitted) this.heads.tell(headsOf(principal), this.ownOf(principal.userId));
    });
    return entry;
  }

  /** False for one that is gone already; and when its user has too many, at all replicas: then it is closed. @param replaces one of them is about to give way to this one */
  async admit(entry: Open, replaces: boolean): Promise<boolean> {
    const { socket, principal, environmentId } = entry;
    if (socket.readyState !== socket.OPEN) return false; // its close has been told already
    // From here on it counts, so that of two at once one is the last.
    entry.admitted = true;
    const most = this.settings.maxConnectionsPerUser + (replaces ? 1 : 0);
    if (!(await this.heads.admit(headsOf(principal), this.ownOf(principal.userId), most))) {
      entry.admitted = false;
      closeWithError(
        socket,
        CLOSE.limited,
        'too_many_connections',
        `At most ${this.settings.maxConnectionsPerUser} sockets a user; close one first`,
        { retry_after_ms: 5_000 },
      );
      return false;
    }
    if (socket.readyState !== socket.OPEN) return false;
    this.count(environmentId);
    return true;
  }

  /** Has its user as many as may be? Then one more is only let in if one of them is closing. */
  isFull({ principal }: Open): boolean {
    return this.ownOf(principal.userId) >= this.settings.maxConnectionsPerUser;
  }

  /** Those of a user that are open here. */
  private ownOf(userId: string): number {
    let count = 0;
    for (const { admitted, principal, socket } of this.open)
      if (admitted && principal.userId === userId && socket.readyState === socket.OPEN) count += 1;
    return count;
  }

  /** The replica where its shell lives looks after its token, which is renewed there, and counts it. */
  relayed(entry: Open): void {
    entry.expiresAt = null;
  }

  /**
   * A fresh access token before the old one expires.
   * @returns whether it is this socket's user's
   * @throws DomainError for one that is not valid, or that could not open this socket
   */
  async renew(entry: Open, token: string): Promise<boolean> {
    const principal = await this.authenticator.authenticate(token);
    if (principal.userId !== entry.principal.userId) return false;
    checkScope(entry.environmentId === '' ? 'env:read' : 'terminal', principal);
    if (entry.byTicket) return true;
    entry.principal = principal;
    entry.expiresAt = principal.expiresAt;
    return true;
  }

  /** What ended by another process, or was told of before they came, they have not heard of. */
  private async confirm(entries: readonly Open[]): Promise<void> {
    const [first] = entries;
    if (!first) return;
    const credentials = entries.map(({ principal }) => principal.credential);
    // A database that does not answer is not asked again meanwhile.
    for (const entry of entries) entry.confirmedAt = Infinity;
    try {
      await this.authenticator.restore(first.principal.credential);
    } catch (error) {
      // Whatever else went wrong says nothing of the credential.
      if (!(error instanceof DomainError) || error.kind !== 'unauthenticated') return;
      for (const [index, { socket, principal }] of entries.entries())
        // It may have been renewed by another one.
        if (principal.credential === credentials[index])
          closeWithError(socket, CLOSE.unauthenticated, 'session_revoked', REVOKED);
    } finally {
      const now = this.clock.millis();
      for (const entry of entries) entry.confirmedAt = now;
    }
  }

  /** An end of one of them may have gone unheard. */
  private confirmAll(): void {
    this.missedAt = this.clock.millis();
    this.confirmEach([...this.open].filter(({ confirmedAt }) => confirmedAt !== Infinity));
  }

  /** Every credential once, for all of its sockets. */
  private confirmEach(entries: readonly Open[]): void {
    const groups = new Map<string, Open[]>();
    for (const entry of entries) {
      const group = groups.get(keyOf(entry)) ?? [];
      group.push(entry);
      groups.set(keyOf(entry), group);
    }
    for (const group of groups.values()) void this.confirm(group);
  }

  private look(): Promise<void> {
    const now = this.clock.millis();
    const due: Open[] = [];
    for (const entry of this.open) {
      const { socket } = entry;
      if (entry.expiresAt && entry.expiresAt.getTime() <= now) {
        closeWithError(socket, CLOSE.unauthenticated, 'token_expired', 'The token has expired; connect again with a fresh one');
        continue;
      }
      if (now - entry.confirmedAt >= CONFIRM_MS) due.push(entry);
      entry.pulse.look(now, this.settings.stallSeconds * 1000);
    }
    this.confirmEach(due);
    for (const [userId, at] of this.heard) if (now - at >= HEARD_MS) this.heard.delete(userId);
    return Promise.resolve();
  }

  private revoked(revocation: Revocation): void {
    this.heard.set(revocation.userId, this.clock.millis());
    for (const { socket, principal } of this.open) {
      if (!concerns(revocation, principal.credential)) continue;
      closeWithError(socket, CLOSE.unauthenticated, 'session_revoked', REVOKED);
    }
  }

  private count(environmentId: string): void {
    if (environmentId === '') return;
    let admitted = 0;
    for (const entry of this.open) if (entry.admitted && entry.environmentId === environmentId) admitted += 1;
    this.activity.setConnections(environmentId, admitted);
  }
}

function keyOf({ principal: { credential } }: Open): string {
  return `${credential.kind}/${credential.id}`;
}

function headsOf({ userId }: Principal): string {
  return `sockets:${userId}`;
}
