import { type Principal } from '@devpocket/access';
import { AuditTrail } from '@devpocket/audit';
import { AuthSettings } from '@devpocket/config';
import { type RequestOrigin } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { MailOutbox } from '@devpocket/mail';
import { Counters } from '@devpocket/shared-state';
import { CredentialsService, emailTaken, nameKey, type ProfileChange, type User, UsersService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { mailTokenInvalid } from './auth.errors';
import { MailTokens } from './mail-tokens';

/** Of each kind of mail that somebody can have sent to an address. */
const MOST_MAILS = 3;
const MOST_MAILS_MS = 3_600_000;

/** Addresses of accounts: whose they are is shown by reading a mail that was sent there. */
@Injectable()
export class EmailService {
  constructor(
    private readonly accounts: CredentialsService,
    private readonly users: UsersService,
    private readonly tokens: MailTokens,
    private readonly outbox: MailOutbox,
    private readonly counters: Counters,
    private readonly audit: AuditTrail,
    private readonly settings: AuthSettings,
  ) {}

  /** @throws DomainError `token_invalid`, `email_taken` when another account has the address by now */
  async verify(token: string, { ip, requestId }: RequestOrigin): Promise<void> {
    const grant = await this.tokens.redeem('verify', token);
    const user = grant && (await this.accounts.proveEmail(grant.userId, grant.email));
    if (!user) throw mailTokenInvalid();
    await this.tokens.revoke(user.id, 'verify');
    const target = `user:${user.id}`;
    await this.audit.record({ actor: user.id, action: 'user.email_verified', target, result: 'success', ip, requestId });
  }

  /** To the address that waits to become the account's, else its own. @returns false when there is nothing to verify */
  async resend({ userId }: Principal): Promise<boolean> {
    const account = await this.accounts.find(userId);
    const email = account?.pendingEmail ?? (account?.user.isVerified === false ? account.user.email : null);
    if (email === null) return false;
    const hit = await this.counters.hit(`resend-verification:${userId}`, MOST_MAILS, MOST_MAILS_MS);
    if (!hit.allowed) {
      const retryAfter = Math.ceil(hit.resetMs / 1000);
      throw new DomainError('rate_limited', 'rate_limited', `At most ${MOST_MAILS} such mails an hour`, { retryAfter });
    }
    await this.outbox.put('verify', { user: userId, email });
    return true;
  }

  /**
   * A mail to set a new password with. The same work whether or not there is such an account: whose it is, is looked up when the mail is
   * written. Nobody's inbox is filled: beyond a few an hour the answer is the same and no mail comes.
   */
  async forgot(email: string): Promise<void> {
    const hit = await this.counters.hit(`forgot-password:${nameKey(email)}`, MOST_MAILS, MOST_MAILS_MS);
    if (hit.allowed) await this.outbox.put('reset', { email });
  }

  /**
   * Another address, of somebody whose password was checked: at once where no mail is sent, else when it is verified. The one before is
   * told of it.
   * @throws DomainError `email_taken`
   */
  async change(before: User, email: string, rest: ProfileChange): Promise<User> {
    const { id, email: to } = before;
    const facts = { user: id, to, next: email };
    if (!this.settings.verifiesEmail) {
      const after = await this.users.changeProfile(id, { ...rest, email });
      await this.outbox.put('address-changed', facts);
      return after;
    }
    const other = await this.users.findByName(email);
    if (other && other.id !== id) throw emailTaken();
    const after = await this.users.changeProfile(id, rest);
    await this.accounts.setPendingEmail(id, email);
    await this.outbox.put('verify', { user: id, email });
    await this.outbox.put('address-changing', facts);
    return after;
  }
}
