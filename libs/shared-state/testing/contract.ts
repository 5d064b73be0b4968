import { type Broadcast, type Counters, type HeadCounts, type Homes, type NewestFew, type Tickets } from '../src';

/** What every way of sharing state has to do, in memory or not. */
export interface SharedState {
  readonly counters: Counters;
  readonly tickets: Tickets;
  readonly broadcast: Broadcast;
  readonly homes: Homes;
  readonly heads: HeadCounts;
  readonly few: NewestFew;
}

/**
 * @param state of one replica
 * @param pass lets so many ms go by
 */
export function describeSharedState(state: () => SharedState, pass: (ms: number) => Promise<void>): void {
  let count = 0;
  let key: string;
  beforeEach(() => (key = `key:${(count += 1)}`));

  describe('counters', () => {
    it('allow up to the limit in a window, then again in the next', async () => {
      const { counters } = state();
      const hits = await Promise.all([1, 2, 3].map(() => counters.hit(key, 2, 1_000)));
      expect(hits.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
        [true, 1],
        [true, 0],
        [false, 0],
      ]);
      await pass(400);
      const later = await counters.hit(key, 2, 1_000);
      expect(later.allowed).toBe(false);
      expect(later.resetMs).toBeGreaterThan(0);
      expect(later.resetMs).toBeLessThanOrEqual(600);
      await pass(later.resetMs);
      expect(await counters.hit(key, 2, 1_000)).toMatchObject({ allowed: true, remaining: 1 });
    });

    it('keep keys apart', async () => {
      const { counters } = state();
      await counters.hit(key, 1, 1_000);
      expect((await counters.hit(`${key}:other`, 1, 1_000)).allowed).toBe(true);
    });
  });

  describe('tickets', () => {
    const grant = { purpose: 'terminal', environmentId: 'e1', credential: { id: 's1' } } as const;

    it('let exactly one of many racing callers in', async () => {
      const { tickets } = state();
      const { ticket, expiresIn } = await tickets.issue(grant);
      expect(expiresIn).toBe(30);
      const all = await Promise.all(Array.from({ length: 20 }, () => tickets.redeem(ticket, 'terminal', 'e1')));
      expect(all.filter(Boolean)).toEqual([grant]);
    });

    it.each([
      ['another purpose', 'logs', 'e1'],
      ['another environment', 'terminal', 'e2'],
      ['no environment', 'terminal', null],
    ] as const)('are no good for %s, and then used up', async (_what, purpose, environmentId) => {
      const { tickets } = state();
      const { ticket } = await tickets.issue(grant);
      expect(await tickets.redeem(ticket, purpose, environmentId)).toBeNull();
      expect(await tickets.redeem(ticket, 'terminal', 'e1')).toBeNull();
    });

    it('that nobody issued are no good', async () => {
      expect(await state().tickets.redeem('x'.repeat(43), 'terminal', 'e1')).toBeNull();
    });
  });

  describe('a broadcast', () => {
    it('is heard by who listens to its channel, at once where it is said, until that stops', () => {
      const { broadcast } = state();
      const heard: unknown[] = [];
      const stop = broadcast.subscribe('a', (message) => heard.push(message));
      const other = broadcast.subscribe('b', (message) => heard.push(message));
      broadcast.publish('a', { n: 1 });
      stop();
      broadcast.publish('a', { n: 2 });
      other();
      expect(heard).toEqual([{ n: 1 }]);
    });
  });

  describe('head counts', () => {
    it('admit up to the most', async () => {
      const { heads } = state();
      const admitted = [await heads.admit(key, 1, 2), await heads.admit(key, 2, 2), await heads.admit(key, 3, 2)];
      expect(admitted).toEqual([true, true, false]);
      heads.tell(key, 1);
      expect(await heads.admit(key, 2, 2)).toBe(true);
    });
  });

  describe('the newest few', () => {
    it('stay, and the oldest give way', async () => {
      const { few } = state();
      const enter = (id: string): Promise<readonly string[]> => few.enter(key, id, 2);
      expect([await enter('a'), await enter('b'), await enter('c')]).toEqual([[], [], ['a']]);
      few.leave(key, 'b');
      expect([await enter('d'), await enter('e')]).toEqual([[], ['c']]);
    });
  });

  describe('a home', () => {
    it('is here for who claims it first, until it is released', async () => {
      const { homes } = state();
      await homes.join('127.0.0.1:1');
      expect(await homes.claim(key)).toEqual({ here: true });
      expect(await homes.claim(key)).toEqual({ here: true });
      expect(homes.held().has(key)).toBe(true);
      await homes.release(key);
      expect(homes.held().has(key)).toBe(false);
    });
  });
}
