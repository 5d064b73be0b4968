import { type RequestOrigin } from '@devpocket/http';
import { CredentialsService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { accountLocked, invalidCredentials } from './auth.errors';
import { LockoutService } from './lockout.service';
import { PasswordHasher } from './password-hasher';
import { SessionStarter } from './session-starter';
import { type TokenPair } from './token-pairs';

/** Name and password for a session. An account that is unknown, inactive or without password costs the same work and answers the same. */
@Injectable()
export class SignInService {
  constructor(
    private readonly accounts: CredentialsService,
    private readonly hasher: PasswordHasher,
    private readonly lockout: LockoutService,
    private readonly starter: SessionStarter,
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
    if (outcome === 'right' && account && hash !== null) {
      // An account hashed at another cost would be told from an unknown one by the time its sign-in takes.
      if (this.hasher.isOutdated(hash)) await this.accounts.rehash(account.user.id, hash, await this.hasher.hash(password));
      return this.starter.begin(account, 'password', origin);
    }
    const error = outcome === 'locked' ? accountLocked('unauthenticated') : invalidCredentials();
    await this.starter.refused(account?.user.id ?? null, 'password', error.code, origin);
    throw error;
  }
}
