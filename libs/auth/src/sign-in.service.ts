import { AuditTrail } from '@devpocket/audit';
import { type RequestOrigin } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { type Credentials, CredentialsService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { accountLocked, invalidCredentials } from './auth.errors';
import { Devices } from './devices';
import { LockoutService } from './lockout.service';
import { PasswordHasher } from './password-hasher';
import { SessionsService } from './sessions.service';
import { type TokenPair } from './token-pairs';

/** Name and password for a session. An account that is unknown, inactive or without password costs the same work and answers the same. */
@Injectable()
export class SignInService {
  constructor(
    private readonly accounts: CredentialsService,
    private readonly hasher: PasswordHasher,
    private readonly lockout: LockoutService,
    private readonly sessions: SessionsService,
    private readonly devices: Devices,
    private readonly audit: AuditTrail,
    private readonly clock: Clock,
  ) {}

  /**
   * @param name a username or an email address, in any case
   * @throws DomainError `invalid_credentials | account_locked`
   */
  async signIn(name: string, password: string, origin: RequestOrigin): Promise<TokenPair> {
    const account = await this.accounts.findByName(name);
    const hash = account?.user.isActive ? account.passwordHash : null;
    const subject = account ? { userId: account.user.id } : { name };
    const outcome = await this.lockout.attempt(subject, () => this.hasher.matches(password, hash));
    if (outcome === 'right' && account && hash !== null) return this.begin(account, hash, password, origin);
    await this.record(account, outcome === 'locked' ? 'account_locked' : 'invalid_credentials', origin);
    throw outcome === 'locked' ? accountLocked('unauthenticated') : invalidCredentials();
  }

  private async begin(account: Credentials, hash: string, password: string, origin: RequestOrigin): Promise<TokenPair> {
    const { id } = account.user;
    // An account hashed at another cost would be told from an unknown one by the time its sign-in takes.
    if (this.hasher.isOutdated(hash)) await this.accounts.rehash(id, hash, await this.hasher.hash(password));
    const pair = await this.sessions.open(account, origin);
    await this.accounts.recordLogin(id, this.clock.now());
    await this.devices.signedIn(id, origin);
    await this.record(account, null, origin);
    return pair;
  }

  private record(account: Credentials | null, failure: string | null, { ip, requestId }: RequestOrigin): Promise<void> {
    const id = account?.user.id;
    return this.audit.record({
      actor: failure === null ? (id ?? null) : null,
      action: 'session.started',
      target: id === undefined ? null : `user:${id}`,
      result: failure === null ? 'success' : 'failure',
      ip,
      requestId,
      ...(failure === null ? {} : { details: { reason: failure } }),
    });
  }
}
