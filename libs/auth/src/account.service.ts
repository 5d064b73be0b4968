import { type Principal } from '@devpocket/access';
import { AuditTrail } from '@devpocket/audit';
import { NO_ORIGIN, type RequestOrigin } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import {
  type AccountChange,
  CredentialsService,
  EMAIL_RULES,
  FULL_NAME_RULES,
  PASSWORD_RULES,
  type ProfileChange,
  textFaults,
  type User,
  userNotFound,
  UsersService,
} from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { wrongPassword } from './auth.errors';
import { EmailService } from './email.service';
import { GoogleIdentityRepository } from './google-identity.repository';
import { OwnerCheck } from './owner-check';
import { SessionsService } from './sessions.service';

/** Changes of an account that may need its password or end its sessions. */
@Injectable()
export class AccountService {
  constructor(
    private readonly users: UsersService,
    private readonly accounts: CredentialsService,
    private readonly owner: OwnerCheck,
    private readonly sessions: SessionsService,
    private readonly audit: AuditTrail,
    private readonly emails: EmailService,
    private readonly identities: GoogleIdentityRepository,
  ) {}

  /**
   * @param currentPassword needed to change the address
   * @throws DomainError `validation_error | email_taken | wrong_password | account_locked | unavailable`
   */
  async changeOwn(
    caller: Principal,
    change: ProfileChange,
    currentPassword: string | undefined,
    origin: RequestOrigin,
  ): Promise<User> {
    const fullName = change.fullName === undefined ? undefined : change.fullName?.trim() || null;
    const faults = [
      ...textFaults('full_name', fullName ?? '', FULL_NAME_RULES),
      ...(change.email === undefined ? [] : textFaults('email', change.email, EMAIL_RULES)),
    ];
    if (faults.length > 0) throw DomainError.invalid(...faults);
    const before = await this.users.getOwn(caller.userId);
    const { email, ...rest } = { ...change, ...(fullName === undefined ? {} : { fullName }) };
    // A client that sends the whole profile back has not asked for another address.
    if (email === undefined || email === before.email) return this.users.changeProfile(caller.userId, rest);
    if (currentPassword === undefined) {
      const message = 'is needed to change the email address';
      throw DomainError.invalid({ field: 'current_password', code: 'required', message });
    }
    await this.owner.byPassword(caller.userId, currentPassword);
    const after = await this.emails.change(before, email, rest);
    await this.record(caller.userId, 'user.email_changed', caller.userId, origin, { in_force: after.email === email });
    return after;
  }

  /**
   * Replaces the password; every other session has ended when this resolves.
   * @throws DomainError `validation_error | wrong_password | account_locked`
   */
  async changePassword(caller: Principal, current: string, next: string, origin: RequestOrigin): Promise<void> {
    const faults = textFaults('new_password', next, PASSWORD_RULES);
    if (faults.length > 0) throw DomainError.invalid(...faults);
    const { userId } = caller;
    const { passwordHash } = await this.owner.byPassword(userId, current);
    const epoch = await this.accounts.replacePassword(userId, passwordHash, await this.owner.hasher.hash(next));
    // Another change was faster: what was verified is not the current password any more.
    if (epoch === null) throw wrongPassword();
    await this.sessions.endBefore(userId, epoch, caller.credential.kind === 'session' ? caller.credential.id : null);
    await this.record(userId, 'user.password_changed', userId, origin);
  }

  /**
   * An administrator's change. Deactivating ends all that the account has open.
   * @param administrator null: the command line @throws DomainError `not_found`
   */
  async changeOther(
    administrator: Principal | null,
    id: string,
    change: AccountChange,
    origin: RequestOrigin = NO_ORIGIN,
  ): Promise<User> {
    const after = await this.users.changeAccount(id, change);
    if (change.isActive === false) await this.sessions.endAll(id);
    const { plan = null, isActive = null, isVerified = null } = change;
    await this.record(administrator?.userId ?? null, 'user.changed', id, origin, {
      plan,
      is_active: isActive,
      is_verified: isVerified,
    });
    return after;
  }

  /**
   * Shuts the caller's account out and begins its removal; all that it has open has ended when this resolves.
   * @param password left out: an account without one, which a Google sign-in of this moment confirms
   * @throws DomainError `validation_error | wrong_password | account_locked | google_sign_in_needed`
   */
  async removeOwn(caller: Principal, password: string | undefined, origin: RequestOrigin): Promise<void> {
    const { userId } = caller;
    const { passwordHash } = await this.owner.byEither(caller, password, 'password');
    if (!(await this.accounts.beginRemoval(userId, passwordHash))) throw wrongPassword();
    await this.record(userId, 'user.removal_begun', userId, origin);
    await this.sessions.endAll(userId);
  }

  /** Makes an administrator, whatever the plan: for the command line. @throws DomainError `not_found` */
  async promote(id: string, origin: RequestOrigin = NO_ORIGIN): Promise<User> {
    const after = await this.users.promote(id);
    await this.record(null, 'user.changed', id, origin, { role: 'admin' });
    return after;
  }

  /**
   * Sets a password without the one before, for the command line; ends every session and key, and the lockout, and parts the account from
   * Google identities with another address than its own.
   * @throws DomainError `validation_error | not_found`
   */
  async setPassword(id: string, next: string, origin: RequestOrigin = NO_ORIGIN): Promise<void> {
    const faults = textFaults('password', next, PASSWORD_RULES);
    if (faults.length > 0) throw DomainError.invalid(...faults);
    if (!(await this.accounts.setPassword(id, await this.owner.hasher.hash(next)))) throw userNotFound();
    await this.sessions.endAll(id);
    const account = await this.accounts.find(id);
    if (account) await this.identities.settle(account);
    await this.owner.lockout.clear({ userId: id });
    await this.record(null, 'user.password_set', id, origin);
  }

  private record(
    actor: string | null,
    action: string,
    target: string,
    { ip, requestId }: RequestOrigin,
    details: Readonly<Record<string, string | boolean | null>> = {},
  ): Promise<void> {
    return this.audit.record({ actor, action, target: `user:${target}`, result: 'success', ip, requestId, details });
  }
}
