import { ManualClock } from '@testing/kernel';
import { MemoryCounters } from './counters';
import { MemoryTickets } from './tickets';

describe('counters in memory', () => {
  it('allow up to the limit in a window, then again in the next', async () => {
    const clock = new ManualClock();
    const counters = new MemoryCounters(clock);
    const hits = await Promise.all([1, 2, 3].map(() => counters.hit('a', 2, 1000)));
    expect(hits.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
      [true, 1],
      [true, 0],
      [false, 0],
    ]);
    clock.push(400);
    expect(await counters.hit('a', 2, 1000)).toMatchObject({ allowed: false, resetMs: 600 });
    clock.push(600);
    expect(await counters.hit('a', 2, 1000)).toMatchObject({ allowed: true, remaining: 1 });
  });

  it('keep keys apart', async () => {
    const counters = new MemoryCounters(new ManualClock());
    await counters.hit('a', 1, 1000);
    expect((await counters.hit('b', 1, 1000)).allowed).toBe(true);
  });
});

describe('tickets in memory', () => {
  const grant = { purpose: 'terminal', environmentId: 'e1', credential: { id: 's1' } } as const;

  it('let exactly one of two racing callers in', async () => {
    const tickets = new MemoryTickets(new ManualClock());
    const { ticket, expiresIn } = await tickets.issue(grant);
    expect(expiresIn).toBe(30);
    const both = await Promise.all([tickets.redeem(ticket, 'terminal', 'e1'), tickets.redeem(ticket, 'terminal', 'e1')]);
    expect(both.filter(Boolean)).toEqual([grant]);
  });

  it.each([
    ['another purpose', 'logs', 'e1'],
    ['another environment', 'terminal', 'e2'],
    ['no environment', 'terminal', null],
  ] as const)('are no good for %s', async (_what, purpose, environmentId) => {
    const tickets = new MemoryTickets(new ManualClock());
    const { ticket } = await tickets.issue(grant);
    expect(await tickets.redeem(ticket, purpose, environmentId)).toBeNull();
  });

  it('expire after 30 s', async () => {
    const clock = new ManualClock();
    const tickets = new MemoryTickets(clock);
    const { ticket } = await tickets.issue(grant);
    const { ticket: later } = await tickets.issue(grant);
    clock.push(30_000);
    expect(await tickets.redeem(ticket, 'terminal', 'e1')).toBeNull();
    expect(await tickets.redeem(later, 'terminal', 'e1')).toBeNull();
  });
});
