import { AuditTrail } from '@devpocket/audit';
import { AuthSettings } from '@devpocket/config';
import { NO_ORIGIN, type RequestOrigin } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { MailOutbox } from '@devpocket/mail';
import {
  CredentialsService,
  EMAIL_RULES,
  FULL_NAME_RULES,
  PASSWORD_RULES,
  type Region,
  registrationClosed,
  textFaults,
  type User,
  USERNAME_RULES,
  UsersService,
} from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { PasswordHasher } from './password-hasher';
import { RegistrationGate } from './registration-gate';
import { type SignInMethod } from './session.machine';
import { usernameFrom, withEnding } from './username.policy';

export interface Registration {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly fullName?: string | null;
  readonly preferredRegion?: Region | null;
}

/** Somebody who has shown to a provider that the address is theirs. */
export interface ProvenPerson {
  readonly email: string;
  readonly fullName: string | null;
  readonly avatarUrl: string | null;
}

@Injectable()
export class RegistrationService {
  constructor(
    private readonly users: UsersService,
    private readonly accounts: CredentialsService,
    private readonly hasher: PasswordHasher,
    private readonly gate: RegistrationGate,
    private readonly audit: AuditTrail,
    private readonly outbox: MailOutbox,
    private readonly settings: AuthSettings,
  ) {}

  /**
   * @param origin left out: not a request (the command line)
   * @throws DomainError `validation_error | email_taken | username_taken | registration_closed`
   */
  async register(registration: Registration, origin: RequestOrigin = NO_ORIGIN): Promise<User> {
    const { username, email, password } = registration;
    const fullName = registration.fullName?.trim() || null;
    const faults = [
      ...textFaults('username', username, USERNAME_RULES),
      ...textFaults('email', email, EMAIL_RULES),
      ...textFaults('password', password, PASSWORD_RULES),
      ...textFaults('full_name', fullName ?? '', FULL_NAME_RULES),
    ];
    if (faults.length > 0) throw DomainError.invalid(...faults);
    const sole = await this.admit();
    // Asked again after the wait for a place to hash in, so that of many with one name few hash; the indexes decide.
    const assertFree = (): Promise<void> => this.accounts.assertFree(username, email);
    await assertFree();
    const passwordHash = await this.hasher.hash(password, assertFree);
    const user = await this.accounts.create({
      username,
      email,
      fullName,
      preferredRegion: registration.preferredRegion ?? null,
      passwordHash,
      isVerified: !this.settings.verifiesEmail,
      sole,
    });
    if (this.settings.verifiesEmail) await this.outbox.put('verify', { user: user.id, email: user.email });
    await this.record(user, 'password', origin);
    return user;
  }

  /**
   * An account without a password, for somebody whose address a provider has checked; its username is made from the address.
   * @throws DomainError `email_taken | registration_closed`
   */
  async registerProven({ email, fullName, avatarUrl }: ProvenPerson, origin: RequestOrigin): Promise<User> {
    const sole = await this.admit();
    const base = usernameFrom(email);
    for (let username = base; ; username = withEnding(base, randomBytes(3).toString('hex'))) {
      const names = { username, email, fullName, preferredRegion: null, passwordHash: null };
      try {
        const user = await this.accounts.create({ ...names, isVerified: true, emailProven: true, avatarUrl, sole });
        await this.record(user, 'google', origin);
        return user;
      } catch (error) {
        if (!(error instanceof DomainError) || error.code !== 'username_taken') throw error;
      }
    }
  }

  private record({ id }: User, method: SignInMethod, { ip, requestId }: RequestOrigin): Promise<void> {
    const [target, details] = [`user:${id}`, { method }];
    return this.audit.record({ actor: id, action: 'user.registered', target, result: 'success', ip, requestId, details });
  }

  /** Is the new account to be the only one? @throws DomainError `registration_closed` */
  private async admit(): Promise<boolean> {
    const admission = await this.gate.admission();
    if (admission === 'open') return false;
    if (admission === 'closed' || (await this.users.count()) > 0) throw registrationClosed();
    return true;
  }
}
