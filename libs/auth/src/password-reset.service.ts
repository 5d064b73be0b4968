import { AuditTrail } from '@devpocket/audit';
import { type RequestOrigin } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { CredentialsService, PASSWORD_RULES, textFaults } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { mailTokenInvalid } from './auth.errors';
import { GoogleIdentityRepository } from './google-identity.repository';
import { LockoutService } from './lockout.service';
import { MailTokens } from './mail-tokens';
import { PasswordHasher } from './password-hasher';
import { SessionsService } from './sessions.service';

/** A new password for who reads the account's mail. */
@Injectable()
export class PasswordResetService {
  constructor(
    private readonly accounts: CredentialsService,
    private readonly tokens: MailTokens,
    private readonly hasher: PasswordHasher,
    private readonly sessions: SessionsService,
    private readonly lockout: LockoutService,
    private readonly audit: AuditTrail,
    private readonly identities: GoogleIdentityRepository,
  ) {}

  /**
   * Ends every session and key, other tokens, a change of address that waits, and the lockout; parts the account from Google identities
   * with another address than its own.
   * @throws DomainError `validation_error | token_invalid`
   */
  async reset(token: string, password: string, { ip, requestId }: RequestOrigin): Promise<void> {
    const faults = textFaults('new_password', password, PASSWORD_RULES);
    if (faults.length > 0) throw DomainError.invalid(...faults);
    // A hash is dear: not for a token that is none. It is used up after it, so that a crash while hashing spends no token.
    if (!(await this.tokens.holds('reset', token))) throw mailTokenInvalid();
    const hash = await this.hasher.hash(password);
    const grant = await this.tokens.redeem('reset', token);
    const account = grant && (await this.accounts.resetPassword(grant.userId, grant.email, hash));
    if (!account) throw mailTokenInvalid();
    const { id } = account.user;
    await this.sessions.endAll(id);
    await this.identities.settle(account);
    await this.tokens.revoke(id, 'reset');
    await this.tokens.revoke(id, 'verify');
    await this.lockout.clear({ userId: id });
    const target = `user:${id}`;
    await this.audit.record({ actor: id, action: 'user.password_reset', target, result: 'success', ip, requestId });
  }
}
