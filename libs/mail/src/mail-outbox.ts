import { Clock } from '@devpocket/kernel';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { type Mail, type MailFacts, MailRefusedError, MailTransport, type QueuedMail } from './mail';
import { MailRepository } from './mail.repository';

/** Writes a mail from its facts, as they are when its time comes; null where there is nothing to send any more. */
export type Composer = (facts: MailFacts) => Promise<Mail | null>;

const LEASE_MS = 120_000;
const FIRST_RETRY_MS = 15_000;
const LONGEST_RETRY_MS = 3_600_000;
const GIVE_UP_MS = 3 * 24 * 3_600_000;

/**
 * Mails that wait to be sent. A dead mail server fails no request and loses no mail: each is tried again, later and later, for
 * three days. Mails are written when they are sent, so what waits holds no token. One that was taken when this process died is
 * sent again.
 */
@Injectable()
export class MailOutbox implements OnModuleDestroy {
  private readonly logger = new Logger('Mail');
  private readonly composers = new Map<string, Composer>();
  private wake: () => void = () => undefined;

  constructor(
    private readonly mails: MailRepository,
    private readonly transport: MailTransport,
    private readonly clock: Clock,
  ) {}

  onModuleDestroy(): void {
    this.transport.close();
  }

  /** Who sends is told of each that is put. */
  onPut(listener: () => void): void {
    this.wake = listener;
  }

  /** Who writes mails of this kind. */
  join(kind: string, composer: Composer): void {
    if (this.composers.has(kind)) throw new Error(`Two write mails of the kind ${kind}`);
    this.composers.set(kind, composer);
  }

  /** Resolves when it is kept, not when it is sent. */
  async put(kind: string, facts: MailFacts): Promise<void> {
    await this.mails.insert(kind, facts, this.clock.now());
    this.wake();
  }

  /** Sends one; true when there may be more. */
  async turn(): Promise<boolean> {
    const now = this.clock.now();
    const mail = await this.mails.claim(now, new Date(now.getTime() + LEASE_MS));
    if (!mail) return false;
    try {
      const written = await this.compose(mail);
      if (written) await this.transport.send(written, mail.kind);
      await this.mails.remove(mail.id);
    } catch (error) {
      await this.failed(mail, error);
    }
    return true;
  }

  private compose({ kind, facts }: QueuedMail): Promise<Mail | null> {
    const composer = this.composers.get(kind);
    if (!composer) throw new Error(`Nobody writes mails of the kind ${kind}`);
    return composer(facts);
  }

  private async failed({ id, kind, queuedAt, tries }: QueuedMail, error: unknown): Promise<void> {
    const now = this.clock.millis();
    const told = { kind, mail: id, error: error instanceof Error ? error.message : String(error) };
    if (error instanceof MailRefusedError || now - queuedAt.getTime() >= GIVE_UP_MS) {
      this.logger.error(told, 'A mail was given up');
      return this.mails.remove(id);
    }
    this.logger.warn(told, 'A mail was not sent; it is tried again');
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** tries);
    return this.mails.postpone(id, tries + 1, new Date(now + wait));
  }
}
