import { AuditTrail } from '@devpocket/audit';
import { AuthSettings } from '@devpocket/config';
import { type RequestOrigin } from '@devpocket/http';
import { Clock, DomainError, newId, type Page, type PageRequest } from '@devpocket/kernel';
import { type Credentials, CredentialsService, type User } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { refreshReused, sessionRevoked, tokenExpired, tokenInvalid } from './auth.errors';
import { Revocations } from './revocations';
import { decideRefresh, type Session, type SignInMethod } from './session.machine';
import { SessionRepository } from './session.repository';
import { type TokenPair, TokenPairs } from './token-pairs';

const DAY_MS = 24 * 3_600_000;

/** Signed-in devices: how they begin, go on and end. */
@Injectable()
export class SessionsService {
  constructor(
    private readonly sessions: SessionRepository,
    private readonly accounts: CredentialsService,
    private readonly tokens: TokenPairs,
    private readonly revocations: Revocations,
    private readonly audit: AuditTrail,
    private readonly settings: AuthSettings,
    private readonly clock: Clock,
  ) {}

  /** Begins a session in the epoch in which its credentials were read: a password changed meanwhile has ended it already. */
  async open({ user, sessionEpoch }: Credentials, origin: RequestOrigin, method: SignInMethod = 'password'): Promise<TokenPair> {
    const now = this.clock.now();
    const id = newId(now);
    const refreshToken = this.tokens.refresh.first(id);
    await this.sessions.insert({
      id,
      userId: user.id,
      method,
      epoch: sessionEpoch,
      currentHash: this.tokens.refresh.hash(refreshToken),
      priorHash: null,
      rotatedAt: null,
      userAgent: origin.userAgent,
      ip: origin.ip,
      createdAt: now,
      lastUsedAt: now,
      expiresAt: this.expiry(now),
    });
    return this.tokens.issue(user, id, refreshToken);
  }

  /**
   * The next pair for a refresh token (contract §2). Every outcome is one conditional write on the session's document, so it
   * and a logout come one after the other, whichever is first.
   * @throws DomainError `token_invalid | token_expired | session_revoked | refresh_reused`
   */
  async refresh(presented: string, origin: RequestOrigin): Promise<TokenPair> {
    const id = this.tokens.refresh.sessionOf(presented);
    if (id === null) throw tokenInvalid();
    const hash = this.tokens.refresh.hash(presented);
    const successor = this.tokens.refresh.successor(presented);
    const successorHash = this.tokens.refresh.hash(successor);
    // Each turn that does not end it lost to another write on the session, so somebody got on.
    for (;;) {
      const { session, user } = await this.living(id);
      const now = this.clock.now();
      switch (decideRefresh(session, hash, now, this.settings.refreshGraceSeconds * 1000)) {
        case 'reused':
          throw await this.endForReuse(session, origin);
        case 'rotate': {
          const { userAgent, ip } = origin;
          const rotation = { from: hash, to: successorHash, at: now, expiresAt: this.expiry(now), userAgent, ip };
          if (await this.sessions.rotate(id, rotation)) return this.tokens.issue(user, id, successor);
          break;
        }
        case 'replay':
          if (await this.sessions.replay(id, successorHash, hash, now)) return this.tokens.issue(user, id, successor);
          break;
      }
    }
  }

  /**
   * A session that goes on, and whose it is.
   * @param userId whose it should be, where that is known: both are then read at once
   * @throws DomainError `session_revoked | token_expired`
   */
  async living(id: string, userId?: string): Promise<{ readonly session: Session; readonly user: User }> {
    const [session, named] = await Promise.all([
      this.sessions.find(id),
      userId === undefined ? null : this.accounts.find(userId),
    ]);
    const account = named ?? (session && (await this.accounts.find(session.userId)));
    if (!session || !account?.user.isActive) throw sessionRevoked();
    if (session.userId !== (userId ?? account.user.id) || session.epoch !== account.sessionEpoch) throw sessionRevoked();
    if (session.expiresAt <= this.clock.now()) throw tokenExpired();
    return { session, user: account.user };
  }

  async list(userId: string, page: PageRequest): Promise<Page<Session>> {
    const account = await this.accounts.find(userId);
    if (!account) throw sessionRevoked();
    return this.sessions.list(userId, account.sessionEpoch, this.clock.now(), page);
  }

  /** Ends one of the user's sessions. @throws DomainError `not_found`; not for a logout, which finds what it wants */
  async end(userId: string, id: string, action: 'session.ended' | 'session.revoked', origin: RequestOrigin): Promise<void> {
    if (!(await this.sessions.remove(userId, id))) {
      if (action === 'session.ended') return;
      throw DomainError.notFound('Session');
    }
    this.revocations.publishSession(userId, id);
    await this.record(action, userId, id, origin);
  }

  /** Ends what began before `epoch`, which the account has entered already, but for the session that is carried over. */
  async endBefore(userId: string, epoch: number, kept: string | null): Promise<void> {
    if (kept !== null) await this.sessions.carryOver(userId, kept, epoch);
    for (const id of await this.sessions.removeBefore(userId, epoch)) this.revocations.publishSession(userId, id);
  }

  /** Ends all that the account has open, keys included; the account has entered a new epoch already. */
  async endAll(userId: string): Promise<void> {
    const account = await this.accounts.find(userId);
    if (account) await this.sessions.removeBefore(userId, account.sessionEpoch);
    this.revocations.publish({ userId, credential: null });
  }

  /** The error to answer. Of several that find out at once one ends the session and says so in the audit trail. */
  private async endForReuse({ id, userId }: Session, origin: RequestOrigin): Promise<DomainError> {
    if (!(await this.sessions.remove(userId, id))) return sessionRevoked();
    this.revocations.publishSession(userId, id);
    await this.record('session.refresh_reused', userId, id, origin);
    return refreshReused();
  }

  private async record(action: string, userId: string, id: string, { ip, requestId }: RequestOrigin): Promise<void> {
    const reused = action === 'session.refresh_reused';
    await this.audit.record({
      actor: reused ? null : userId,
      action,
      target: `session:${id}`,
      result: reused ? 'failure' : 'success',
      ip,
      requestId,
      details: { user: userId },
    });
  }

  private expiry(now: Date): Date {
    return new Date(now.getTime() + this.settings.refreshTokenDays * DAY_MS);
  }
}
