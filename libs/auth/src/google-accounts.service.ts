import { AuditTrail } from '@devpocket/audit';
import { type RequestOrigin } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { MailOutbox } from '@devpocket/mail';
import { type Credentials, CredentialsService, type User } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { type GoogleProfile } from './google-id-tokens';
import { GoogleIdentityRepository, lives } from './google-identity.repository';
import { googleIdentityTaken, googleLinkRequired } from './google.errors';
import { RegistrationService } from './registration.service';

/**
 * Which account somebody has whom Google knows. The subject says it. The address says it once, and only where it was proven here too:
 * whoever registered it first would else let its owner in, and have a way in beside them.
 */
@Injectable()
export class GoogleAccountsService {
  constructor(
    private readonly identities: GoogleIdentityRepository,
    private readonly accounts: CredentialsService,
    private readonly registration: RegistrationService,
    private readonly outbox: MailOutbox,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * The account, which is made if there is none; it may be a deactivated one.
   * @throws DomainError `google_link_required | registration_closed`
   */
  async of(profile: GoogleProfile, origin: RequestOrigin): Promise<Credentials> {
    // Each turn that does not end it lost to another request, so somebody got on.
    for (;;) {
      const account =
        (await this.joined(profile)) ?? (await this.sameAddress(profile, origin)) ?? (await this.made(profile, origin));
      if (account) return account;
    }
  }

  /**
   * Joins an identity to an account whose owner was confirmed.
   * @param account as it was then @throws DomainError `google_identity_taken`
   */
  async join(profile: GoogleProfile, account: Credentials, origin: RequestOrigin): Promise<void> {
    for (;;) {
      const joined = await this.joined(profile);
      if (joined && joined.user.id !== account.user.id) throw googleIdentityTaken();
      if (joined) return;
      if (!(await this.identities.add(profile.subject, profile.email, account))) continue;
      await this.accounts.proveOwnEmail(account.user.id, profile.email);
      await this.tellJoined(account.user, profile, origin);
      return;
    }
  }

  /** By the subject. An identity that has parted is cleared away. */
  private async joined({ subject, email }: GoogleProfile): Promise<Credentials | null> {
    const identity = await this.identities.find(subject);
    if (!identity) return null;
    const account = await this.accounts.find(identity.userId);
    if (!account || !lives(identity, account)) {
      await this.identities.remove(identity);
      return null;
    }
    if (!account.user.isActive) return account;
    await this.identities.seen(identity, email, account.identityEpoch);
    const isNews = !account.emailProven && (await this.accounts.proveOwnEmail(account.user.id, email));
    return isNews ? this.accounts.find(account.user.id) : account;
  }

  private async sameAddress(profile: GoogleProfile, origin: RequestOrigin): Promise<Credentials | null> {
    const account = await this.accounts.findByName(profile.email);
    // Of one that is shut out nothing is told and nothing is changed.
    if (!account?.user.isActive) return account;
    if (!account.emailProven) throw googleLinkRequired();
    if (!(await this.identities.add(profile.subject, profile.email, account))) return null;
    await this.tellJoined(account.user, profile, origin);
    return account;
  }

  /** @returns null when another request was faster */
  private async made(profile: GoogleProfile, origin: RequestOrigin): Promise<Credentials | null> {
    const user = await this.registration.registerProven(profile, origin).catch(async (error: unknown) => {
      const code = error instanceof DomainError ? error.code : '';
      // The last place may have been taken for this very person a moment ago.
      const isOurs = code === 'registration_closed' && (await this.accounts.findByName(profile.email)) !== null;
      if (code === 'email_taken' || isOurs) return null;
      throw error;
    });
    const account = user && (await this.accounts.find(user.id));
    if (!account) return null;
    if (await this.identities.add(profile.subject, profile.email, account)) return account;
    // Another request may have found the account by its address already.
    if ((await this.identities.find(profile.subject))?.userId === account.user.id) return account;
    // The same person with two addresses at once: the account of the other one is theirs.
    await this.accounts.withdraw(account.user.id);
    await this.record('user.removed', account.user, null, origin);
    return null;
  }

  private async tellJoined(user: User, { email }: GoogleProfile, origin: RequestOrigin): Promise<void> {
    await this.outbox.put('google-linked', { user: user.id, google: email });
    await this.record('user.google_linked', user, user.id, origin);
  }

  private record(action: string, { id }: User, actor: string | null, { ip, requestId }: RequestOrigin): Promise<void> {
    return this.audit.record({ actor, action, target: `user:${id}`, result: 'success', ip, requestId });
  }
}
