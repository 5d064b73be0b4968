import { createHash, randomBytes } from 'node:crypto';
import { type Clock } from '@devpocket/kernel';

export type TicketPurpose = 'terminal' | 'logs' | 'events';

/** What a ticket stands for. `credential` is opaque here: whoever redeems restores a principal from it. */
export interface TicketGrant<Credential> {
  readonly purpose: TicketPurpose;
  /** Null for `events`. */
  readonly environmentId: string | null;
  readonly credential: Credential;
}

/** Seconds that a ticket may wait to be used. */
export const TICKET_SECONDS = 30;

/** Single-use credentials short-lived enough to stand in a URL. Only their hash is kept. */
export abstract class Tickets<Credential = unknown> {
  abstract issue(grant: TicketGrant<Credential>): Promise<{ readonly ticket: string; readonly expiresIn: number }>;

  /** Uses the ticket up and returns its grant, or null: exactly one of two racing callers gets it. A wrong purpose or environment uses it up too. */
  abstract redeem(ticket: string, purpose: TicketPurpose, environmentId: string | null): Promise<TicketGrant<Credential> | null>;
}

export class MemoryTickets<Credential> extends Tickets<Credential> {
  /** In order of issue, which is the order of expiry. */
  private readonly open = new Map<string, { readonly grant: TicketGrant<Credential>; readonly ends: number }>();

  constructor(private readonly clock: Clock) {
    super();
  }

  issue(grant: TicketGrant<Credential>): Promise<{ ticket: string; expiresIn: number }> {
    const now = this.clock.millis();
    for (const [key, { ends }] of this.open) {
      if (ends > now) break;
      this.open.delete(key);
    }
    const ticket = randomBytes(32).toString('base64url');
    this.open.set(hashOf(ticket), { grant, ends: now + TICKET_SECONDS * 1000 });
    return Promise.resolve({ ticket, expiresIn: TICKET_SECONDS });
  }

  redeem(ticket: string, purpose: TicketPurpose, environmentId: string | null): Promise<TicketGrant<Credential> | null> {
    const key = hashOf(ticket);
    const found = this.open.get(key);
    this.open.delete(key);
    const good =
      found && found.ends > this.clock.millis() && found.grant.purpose === purpose && found.grant.environmentId === environmentId;
    return Promise.resolve(good ? found.grant : null);
  }
}

/** What is kept of a ticket. */
export function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64url');
}
