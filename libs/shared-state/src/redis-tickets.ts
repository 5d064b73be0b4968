import { type Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { type RedisLink } from './redis-link';
import { SharedStateDown } from './shared-state-down';
import { hashOf, TICKET_SECONDS, type TicketGrant, type TicketPurpose, Tickets } from './tickets';

/** Good at every replica, and used up at all by one. */
export class RedisTickets<Credential> extends Tickets<Credential> {
  constructor(private readonly link: RedisLink) {
    super();
  }

  /** @throws SharedStateDown */
  async issue(grant: TicketGrant<Credential>): Promise<{ ticket: string; expiresIn: number }> {
    const ticket = randomBytes(32).toString('base64url');
    await this.ask(ticket, (redis, key) => redis.set(key, JSON.stringify(grant), 'EX', TICKET_SECONDS));
    return { ticket, expiresIn: TICKET_SECONDS };
  }

  /** @throws SharedStateDown */
  async redeem(ticket: string, purpose: TicketPurpose, environmentId: string | null): Promise<TicketGrant<Credential> | null> {
    const text = await this.ask(ticket, (redis, key) => redis.getdel(key));
    if (text === null) return null;
    const grant = JSON.parse(text) as TicketGrant<Credential>;
    return grant.purpose === purpose && grant.environmentId === environmentId ? grant : null;
  }

  private async ask<T>(ticket: string, act: (redis: Redis, key: string) => Promise<T>): Promise<T> {
    const key = this.link.key('ticket', hashOf(ticket));
    try {
      return await this.link.run((redis) => act(redis, key));
    } catch (error) {
      throw new SharedStateDown('Tickets cannot be used now; try again', error);
    }
  }
}
