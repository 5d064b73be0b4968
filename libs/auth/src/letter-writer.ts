import { MailSettings } from '@devpocket/config';
import { type Mail, type MailFacts, MailOutbox } from '@devpocket/mail';
import { type User, UsersService } from '@devpocket/users';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import {
  addressChangedLetter,
  addressChangingLetter,
  type Addressee,
  googleLinkedLetter,
  lockedLetter,
  newDeviceLetter,
  resetLetter,
  verificationLetter,
} from './letters';
import { MailTokens } from './mail-tokens';

const named = ({ username, fullName }: User): string => fullName ?? username;

/** Writes the mails of accounts as things are when they are sent: what has become pointless meanwhile is not. */
@Injectable()
export class LetterWriter implements OnModuleInit {
  constructor(
    private readonly users: UsersService,
    private readonly tokens: MailTokens,
    private readonly outbox: MailOutbox,
    private readonly settings: MailSettings,
  ) {}

  onModuleInit(): void {
    this.outbox.join('verify', (facts) => this.verification(facts));
    this.outbox.join('reset', (facts) => this.reset(facts));
    this.outbox.join('address-changing', ({ user = '', to = '', next = '' }) =>
      this.to(user, to, (whom) => addressChangingLetter(whom, next)),
    );
    this.outbox.join('address-changed', ({ user = '', to = '', next = '' }) =>
      this.to(user, to, (whom) => addressChangedLetter(whom, next)),
    );
    this.outbox.join('new-device', ({ user = '', device = '', ip = '', at = '' }) =>
      this.to(user, null, (whom) => newDeviceLetter(whom, device, ip, at)),
    );
    this.outbox.join('google-linked', ({ user = '', google = '' }) =>
      this.to(user, null, (whom) => googleLinkedLetter(whom, google)),
    );
    this.outbox.join('locked', ({ user = '' }) => this.to(user, null, lockedLetter));
  }

  /** @param facts `email`: the account's own address, or the one that it asked for */
  private verification({ user = '', email = '' }: MailFacts): Promise<Mail | null> {
    return this.to(user, email, async (whom) => {
      const token = await this.tokens.issue('verify', { userId: user, email });
      return verificationLetter(whom, token, this.settings.publicUrl);
    });
  }

  /** @param facts `email`: what somebody gave for theirs, whether or not there is such an account */
  private async reset({ email = '' }: MailFacts): Promise<Mail | null> {
    const user = email.includes('@') ? await this.users.findByName(email) : null;
    if (!user?.isActive) return null;
    const token = await this.tokens.issue('reset', { userId: user.id, email: user.email });
    return resetLetter({ to: user.email, name: named(user) }, token, this.settings.publicUrl);
  }

  /** @param address null: the account's own */
  private async to(
    userId: string,
    address: string | null,
    write: (whom: Addressee) => Mail | Promise<Mail>,
  ): Promise<Mail | null> {
    const user = userId === '' ? null : await this.users.find(userId);
    return user?.isActive ? write({ to: address ?? user.email, name: named(user) }) : null;
  }
}
