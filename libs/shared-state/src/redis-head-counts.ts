import { Loop } from '@devpocket/kernel';
import { HeadCounts } from './head-counts';
import { type Homes } from './homes';
import { type RedisLink } from './redis-link';

const KEPT_MS = 60_000;
const TELL_MS = 15_000;
/** What was closed at another replica a moment ago may not have been said yet. */
const [TRIES, AGAIN_MS] = [4, 150];

/** KEYS: a hash of counts by replica. ARGV: this replica, its count, the most, prefix of replicas' keys, ms to keep. What the dead had counts no more. */
const ADMIT = `
local sum = tonumber(ARGV[2])
local counts = redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
  if counts[i] ~= ARGV[1] then
    if redis.call('EXISTS', ARGV[4] .. counts[i]) == 1 then sum = sum + tonumber(counts[i + 1])
    else redis.call('HDEL', KEYS[1], counts[i]) end
  end
end
if sum > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1`;

/** Exact while Redis answers; else each replica counts alone. */
export class RedisHeadCounts extends HeadCounts {
  private readonly own = new Map<string, number>();
  private readonly loop: Loop;

  constructor(
    private readonly link: RedisLink,
    private readonly homes: Homes,
  ) {
    super();
    this.loop = new Loop(link.clock, {
      name: 'head-counts',
      intervalMs: TELL_MS,
      turn: () => this.tellAll(),
      onError: () => undefined,
    });
    link.events.on('up', () => this.loop.wake());
    link.onClose(() => this.loop.stop());
    this.loop.start();
  }

  async admit(key: string, own: number, most: number): Promise<boolean> {
    if (own > most) return false;
    for (let tries = 1; ; tries += 1) {
      if (await this.ask(key, own, most)) break;
      if (tries === TRIES) return false;
      await this.link.clock.wait(AGAIN_MS);
    }
    this.own.set(key, own);
    return true;
  }

  tell(key: string, own: number): void {
    if (own > 0) this.own.set(key, own);
    else this.own.delete(key);
    this.say(key, own).catch(() => undefined); // said again by the loop, or expired
  }

  private async ask(key: string, own: number, most: number): Promise<boolean> {
    const args = [this.homes.replica, own, most, this.link.key('replica', ''), KEPT_MS];
    try {
      return (await this.link.run((redis) => redis.eval(ADMIT, 1, this.keyOf(key), ...args))) === 1;
    } catch {
      return true; // alone it is not too many
    }
  }

  private async tellAll(): Promise<void> {
    await Promise.all([...this.own].map(([key, own]) => this.say(key, own)));
  }

  private say(key: string, own: number): Promise<unknown> {
    const { replica } = this.homes;
    return this.link.run((redis) => {
      const said = redis.multi();
      if (own > 0) said.hset(this.keyOf(key), replica, own).pexpire(this.keyOf(key), KEPT_MS);
      else said.hdel(this.keyOf(key), replica);
      return said.exec();
    });
  }

  private keyOf(key: string): string {
    return this.link.key('heads', key);
  }
}
