import { type Principal } from '@devpocket/access';
import { Clock, DomainError } from '@devpocket/kernel';
import { type Credentials, CredentialsService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { accountLocked, googleSignInNeeded, sessionRevoked, wrongPassword } from './auth.errors';
import { LockoutService } from './lockout.service';
import { PasswordHasher } from './password-hasher';
import { SessionsService } from './sessions.service';

const FRESH_MS = 5 * 60_000;

/** Is a signed-in caller the account's owner, and not somebody with a phone of theirs? */
@Injectable()
export class OwnerCheck {
  constructor(
    private readonly accounts: CredentialsService,
    private readonly sessions: SessionsService,
    private readonly clock: Clock,
    readonly hasher: PasswordHasher,
    readonly lockout: LockoutService,
  ) {}

  /**
   * Confirms a caller by the password. Wrong ones count as at sign-in.
   * @throws DomainError `wrong_password | account_locked`
   */
  async byPassword(userId: string, password: string): Promise<Credentials & { readonly passwordHash: string }> {
    const account = await this.find(userId);
    const { passwordHash } = account;
    const outcome = await this.lockout.attempt({ userId }, () => this.hasher.matches(password, passwordHash));
    if (outcome === 'locked') throw accountLocked('forbidden');
    if (outcome === 'wrong' || passwordHash === null) throw wrongPassword();
    return { ...account, passwordHash };
  }

  /**
   * By the password; where the account has none, by a session that began with Google less than five minutes ago.
   * @param field that the password came in
   * @throws DomainError `validation_error | wrong_password | account_locked | google_sign_in_needed`
   */
  async byEither({ userId, credential }: Principal, password: string | undefined, field: string): Promise<Credentials> {
    const account = await this.find(userId);
    if (account.passwordHash === null) {
      const { session } = await this.sessions.living(credential.id, userId);
      const age = this.clock.millis() - session.createdAt.getTime();
      if (session.method !== 'google' || age >= FRESH_MS) throw googleSignInNeeded();
      return account;
    }
    if (password === undefined) throw DomainError.invalid({ field, code: 'required', message: 'is needed' });
    return this.byPassword(userId, password);
  }

  private async find(userId: string): Promise<Credentials> {
    const account = await this.accounts.find(userId);
    if (!account) throw sessionRevoked();
    return account;
  }
}
