import { Logger } from '@nestjs/common';
import { Counters, type Hit } from './counters';
import { RedisDown, type RedisLink } from './redis-link';

/** One step for Redis, so that of hits at once each is counted; its clock alone says when a window ends. */
const HIT = `
local hits = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {hits, left}`;

/** Counted by all replicas together; by each alone while Redis does not answer, for a limit must not shut everybody out. */
export class RedisCounters extends Counters {
  private readonly logger = new Logger('Counters');

  constructor(
    private readonly link: RedisLink,
    private readonly alone: Counters,
  ) {
    super();
  }

  async hit(key: string, limit: number, windowMs: number): Promise<Hit> {
    try {
      const [hits, resetMs] = (await this.link.run((redis) => redis.eval(HIT, 1, this.link.key('count', key), windowMs))) as [
        number,
        number,
      ];
      return { allowed: hits <= limit, limit, remaining: Math.max(0, limit - hits), resetMs };
    } catch (error) {
      if (!(error instanceof RedisDown)) this.logger.warn({ err: error }, 'A limit is counted in this process alone');
      return this.alone.hit(key, limit, windowMs);
    }
  }
}
