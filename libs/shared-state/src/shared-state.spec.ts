import { ManualClock } from '@testing/kernel';
import { describeSharedState } from '../testing/contract';
import { MemoryBroadcast } from './broadcast';
import { MemoryCounters } from './counters';
import { MemoryHeadCounts } from './head-counts';
import { MemoryHomes } from './homes';
import { MemoryNewestFew } from './newest-few';
import { MemoryTickets } from './tickets';

describe('shared state in memory', () => {
  const clock = new ManualClock();
  const state = {
    counters: new MemoryCounters(clock),
    tickets: new MemoryTickets(clock),
    broadcast: new MemoryBroadcast(),
    homes: new MemoryHomes(),
    heads: new MemoryHeadCounts(),
    few: new MemoryNewestFew(),
  };
  describeSharedState(
    () => state,
    (ms) => {
      clock.push(ms);
      return Promise.resolve();
    },
  );

  it('tells the ms to the end of a window', async () => {
    await state.counters.hit('exact', 1, 1_000);
    clock.push(400);
    expect(await state.counters.hit('exact', 1, 1_000)).toMatchObject({ allowed: false, resetMs: 600 });
  });

  it('lets tickets expire after 30 s', async () => {
    const { tickets } = state;
    const grant = { purpose: 'events', environmentId: null, credential: {} } as const;
    const [{ ticket }, { ticket: later }] = [await tickets.issue(grant), await tickets.issue(grant)];
    clock.push(30_000);
    expect(await tickets.redeem(ticket, 'events', null)).toBeNull();
    expect(await tickets.redeem(later, 'events', null)).toBeNull();
  });
});
