import { SharedStateSettings } from '@devpocket/config';
import { Clock } from '@devpocket/kernel';
import { type DynamicModule, Global, Injectable, Module, type OnApplicationShutdown, type Type } from '@nestjs/common';
import { Broadcast, MemoryBroadcast } from './broadcast';
import { Counters, MemoryCounters } from './counters';
import { HeadCounts, MemoryHeadCounts } from './head-counts';
import { Homes, MemoryHomes } from './homes';
import { MemoryNewestFew, NewestFew } from './newest-few';
import { RedisBroadcast } from './redis-broadcast';
import { RedisCounters } from './redis-counters';
import { RedisHeadCounts } from './redis-head-counts';
import { RedisHomes } from './redis-homes';
import { RedisLink } from './redis-link';
import { RedisTickets } from './redis-tickets';
import { RedisNewestFew } from './redis-newest-few';
import { SharedStateOwner } from './shared-state-down';
import { MemoryTickets, Tickets } from './tickets';

/** The way to Redis, or that there is none. */
@Injectable()
export class SharedStateLink implements OnApplicationShutdown {
  constructor(readonly redis: RedisLink | null) {}

  /** Do several replicas share what they have to agree on? */
  get isShared(): boolean {
    return this.redis !== null;
  }

  /** Does Redis answer? True where there is none to ask. */
  get isUp(): boolean {
    return this.redis?.isUp ?? true;
  }

  /** @throws Error when Redis does not answer */
  async check(): Promise<void> {
    await this.redis?.run((redis) => redis.ping());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.redis?.close();
  }
}

const parts = [SharedStateLink, Clock];

@Global()
@Module({
  providers: [
    {
      provide: SharedStateLink,
      inject: [SharedStateSettings, Clock, { token: SharedStateOwner, optional: true }],
      useFactory: async (settings: SharedStateSettings, clock: Clock, owner?: SharedStateOwner) => {
        if (settings.redisUrl === null) return new SharedStateLink(null);
        if (!owner) throw new Error('Whose state it is has to be known on a Redis that others may use too');
        const link = new RedisLink(settings.redisUrl, `devpocket:${await owner.id()}`, clock);
        await link.open();
        return new SharedStateLink(link);
      },
    },
    {
      provide: Counters,
      inject: parts,
      useFactory: ({ redis }: SharedStateLink, clock: Clock) =>
        redis ? new RedisCounters(redis, new MemoryCounters(clock)) : new MemoryCounters(clock),
    },
    {
      provide: Tickets,
      inject: parts,
      useFactory: ({ redis }: SharedStateLink, clock: Clock) => (redis ? new RedisTickets(redis) : new MemoryTickets(clock)),
    },
    {
      provide: Broadcast,
      inject: parts,
      useFactory: ({ redis }: SharedStateLink) => (redis ? new RedisBroadcast(redis) : new MemoryBroadcast()),
    },
    {
      provide: Homes,
      inject: parts,
      useFactory: ({ redis }: SharedStateLink) => (redis ? new RedisHomes(redis) : new MemoryHomes()),
    },
    {
      provide: NewestFew,
      inject: parts,
      useFactory: ({ redis }: SharedStateLink) => (redis ? new RedisNewestFew(redis) : new MemoryNewestFew()),
    },
    {
      provide: HeadCounts,
      inject: [SharedStateLink, Homes],
      useFactory: ({ redis }: SharedStateLink, homes: Homes) =>
        redis ? new RedisHeadCounts(redis, homes) : new MemoryHeadCounts(),
    },
  ],
  exports: [SharedStateLink, Counters, Tickets, Broadcast, Homes, HeadCounts, NewestFew],
})
export class SharedStateModule {
  /** @param owner whose state it is on a Redis that others may use too; without one it is in memory */
  static forRoot(owner: Type<SharedStateOwner>): DynamicModule {
    return { module: SharedStateModule, providers: [{ provide: SharedStateOwner, useExisting: owner }] };
  }
}
