import { MemoryNewestFew, NewestFew } from './newest-few';
import { type RedisLink } from './redis-link';

/** Longer than anything stays; each that enters renews it. */
const KEPT_MS = 24 * 3_600_000;

/** KEYS: a set in order of entering, by Redis' clock. ARGV: the id, the most, ms to keep. */
const ENTER = `
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000000 + time[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if over <= 0 then return {} end
local popped = redis.call('ZPOPMIN', KEYS[1], over)
local ids = {}
for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
return ids`;

/** In the order of all replicas; while Redis does not answer in each one's own. What a dead one had is the oldest soon, and gives way first. */
export class RedisNewestFew extends NewestFew {
  private readonly alone = new MemoryNewestFew();

  constructor(private readonly link: RedisLink) {
    super();
  }

  async enter(key: string, id: string, most: number): Promise<readonly string[]> {
    const own = await this.alone.enter(key, id, most);
    try {
      return (await this.link.run((redis) => redis.eval(ENTER, 1, this.link.key('newest', key), id, most, KEPT_MS))) as string[];
    } catch {
      return own;
    }
  }

  leave(key: string, id: string): void {
    this.alone.leave(key, id);
    this.link.run((redis) => redis.zrem(this.link.key('newest', key), id)).catch(() => undefined); // it gives way in its turn
  }
}
