import { Global, Module } from '@nestjs/common';
import { Clock } from '@devpocket/kernel';
import { Broadcast, MemoryBroadcast } from './broadcast';
import { Counters, MemoryCounters } from './counters';
import { MemoryTickets, Tickets } from './tickets';

@Global()
@Module({
  providers: [
    { provide: Counters, inject: [Clock], useFactory: (clock: Clock) => new MemoryCounters(clock) },
    { provide: Tickets, inject: [Clock], useFactory: (clock: Clock) => new MemoryTickets(clock) },
    { provide: Broadcast, useClass: MemoryBroadcast },
  ],
  exports: [Counters, Tickets, Broadcast],
})
export class SharedStateModule {}
