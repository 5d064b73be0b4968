import { Loop } from '@devpocket/kernel';
import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { type Home, Homes } from './homes';
import { type RedisLink } from './redis-link';
import { SharedStateDown } from './shared-state-down';

/** A replica that was not heard of for so long is dead, and what was at home there is nobody's. */
export const LEASE_MS = 5_000;
/** A home's own entry lasts longer than its replica's: it is the replica's that counts. */
const HOME_MS = 60_000;
const BEATS = 5;
const RENEW_HOMES_BEATS = 20;
const AGAIN_MS = 100;

/**
 * KEYS: the home. ARGV: this replica, prefix of replicas' keys, ms that a home lasts, ms for which nothing is taken from anybody.
 * A Redis that has just begun knows of nobody yet: nothing is given away before all have had the time to say what is theirs.
 * Returns the replica and its address; a replica of '' is nobody, and this one has to wait.
 */
const CLAIM = `
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {owner, ''}
end
if owner then
  local address = redis.call('GET', ARGV[2] .. owner)
  if address then return {owner, address} end
end
if ARGV[5] == 'mine' and not owner then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  return {ARGV[1], ''}
end
local up = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)') or '1000000')
if tonumber(ARGV[4]) > 0 or up * 1000 < tonumber(ARGV[6]) then return {'', ''} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return {ARGV[1], ''}`;

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/** Entries in Redis that a heartbeat keeps. What was once claimed stays at home here while Redis does not answer anybody. */
export class RedisHomes extends Homes {
  readonly replica = randomUUID();
  private readonly logger = new Logger('Replicas');
  private readonly names = new Set<string>();
  private readonly listeners = new Set<(name: string) => void>();
  private readonly loop: Loop;
  private address: string | null = null;
  private beats = 0;
  /** Until then nobody else can have been given what is here. */
  private sureUntil = 0;

  constructor(
    private readonly link: RedisLink,
    private readonly leaseMs = LEASE_MS,
  ) {
    super();
    this.loop = new Loop(link.clock, {
      name: 'replica',
      intervalMs: leaseMs / BEATS,
      turn: () => this.beat(),
      onError: () => undefined, // the link tells of it
    });
    link.events.on('up', () => this.loop.wake());
  }

  async join(address: string): Promise<void> {
    this.address = address;
    await this.beat().catch(() => undefined); // the loop tries again
    this.loop.start();
  }

  async claim(name: string): Promise<Home> {
    const { clock } = this.link;
    if (this.names.has(name) && clock.millis() < this.sureUntil) return { here: true };
    const end = clock.millis() + 2 * this.leaseMs;
    for (;;) {
      const home = await this.ask(name);
      if (home) return home;
      if (clock.millis() > end) throw new SharedStateDown('Nobody knows yet where this is; try again');
      await clock.wait(AGAIN_MS);
    }
  }

  async release(name: string): Promise<void> {
    if (!this.names.delete(name)) return;
    await this.link.run((redis) => redis.eval(RELEASE, 1, this.homeKey(name), this.replica)).catch(() => undefined); // it expires
  }

  held(): ReadonlySet<string> {
    return this.names;
  }

  onLost(listener: (name: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async leave(): Promise<void> {
    await this.loop.stop();
    this.address = null;
    await Promise.all([...this.names].map((name) => this.release(name)));
    await this.link.run((redis) => redis.del(this.replicaKey)).catch(() => undefined); // it expires
  }

  /** Null: it has to be asked again a little later. */
  private async ask(name: string): Promise<Home | null> {
    if (this.address === null) throw new SharedStateDown('This server is not there for others yet, or no more; try again');
    try {
      const [replica, address] = await this.claimOnce(name, 'ask');
      if (replica === '') return null;
      if (replica !== this.replica) {
        this.lose(name);
        return { here: false, replica, address };
      }
      this.names.add(name);
      return { here: true };
    } catch (error) {
      // As long as Redis is silent nobody else can claim it.
      if (this.names.has(name)) return { here: true };
      throw new SharedStateDown('Where this is cannot be asked now; try again', error);
    }
  }

  /** @param whose `mine`: it was this replica's when it was last asked */
  private claimOnce(name: string, whose: 'ask' | 'mine'): Promise<[string, string]> {
    const { sinceOutage } = this.link;
    // Others may have been as blind as this one.
    const blind = sinceOutage < this.leaseMs ? 1 : 0;
    const args = [this.replica, this.link.key('replica', ''), HOME_MS, blind, whose, this.leaseMs];
    return this.link.run((redis) => redis.eval(CLAIM, 1, this.homeKey(name), ...args)) as Promise<[string, string]>;
  }

  /** Says that this replica lives; where that was forgotten meanwhile, also what is at home here. */
  private async beat(): Promise<void> {
    const { address } = this;
    if (address === null) return;
    const begun = this.link.clock.millis();
    const known = await this.link.run((redis) => redis.set(this.replicaKey, address, 'PX', this.leaseMs, 'GET'));
    this.beats += 1;
    if (known === null || this.beats % RENEW_HOMES_BEATS === 0)
      await Promise.all([...this.names].map((name) => this.renew(name)));
    this.sureUntil = begun + this.leaseMs;
  }

  private async renew(name: string): Promise<void> {
    const [replica] = await this.claimOnce(name, 'mine');
    if (replica !== this.replica && replica !== '') this.lose(name);
  }

  private lose(name: string): void {
    if (!this.names.delete(name)) return;
    this.logger.warn(`${name} went to another replica: this one was not heard of for ${this.leaseMs / 1000} s`);
    for (const listener of this.listeners) listener(name);
  }

  private get replicaKey(): string {
    return this.link.key('replica', this.replica);
  }

  private homeKey(name: string): string {
    return this.link.key('home', name);
  }
}
