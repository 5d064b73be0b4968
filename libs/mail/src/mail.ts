export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** Short facts from which a mail is written when its time comes: ids and addresses, never a secret. */
export type MailFacts = Readonly<Record<string, string>>;

/** A mail that waits. */
export interface QueuedMail {
  readonly id: string;
  readonly kind: string;
  readonly facts: MailFacts;
  readonly queuedAt: Date;
  /** Attempts that failed. */
  readonly tries: number;
}

/** Nobody will ever take it: another try is of no use. */
export class MailRefusedError extends Error {}

/** Takes a mail on its way. Type and injection token at once. */
export abstract class MailTransport {
  /** For the start-up line. */
  abstract readonly summary: string;
  /** @throws MailRefusedError, or any other error where a later try may do */
  abstract send(mail: Mail, kind: string): Promise<void>;
  abstract close(): void;
}
