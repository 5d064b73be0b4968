import { ManualClock } from '@testing/kernel';
import { ReplicaSeal } from './replica-seal';

const KEY = 'k'.repeat(32);

describe('a call between replicas', () => {
  let clock: ManualClock;
  let ours: ReplicaSeal;
  beforeEach(() => {
    clock = new ManualClock();
    ours = new ReplicaSeal(KEY, clock);
  });

  it('is taken once, by whom it is for', () => {
    const seal = new ReplicaSeal(KEY, clock).seal('b', '/path', 'content');
    expect(ours.accepts(seal, 'b', '/path', 'content')).toBe(true);
    expect(ours.accepts(seal, 'b', '/path', 'content')).toBe(false);
  });

  it.each([
    ['for another replica', 'c', '/path', 'content'],
    ['on another path', 'b', '/other', 'content'],
    ['with another content', 'b', '/path', 'contents'],
  ])('is not taken %s', (_what, self, path, content) => {
    const seal = ours.seal('b', '/path', 'content');
    expect(ours.accepts(seal, self, path, content)).toBe(false);
    expect(ours.accepts(seal, 'b', '/path', 'content')).toBe(true);
  });

  it.each([
    ['of another installation', () => new ReplicaSeal('x'.repeat(32), clock).seal('b', '/path', 'content')],
    ['without a seal', () => ''],
    ['with a seal that is none', () => 'a.b.c'],
    ['with a changed seal', () => `x${ours.seal('b', '/path', 'content')}`],
    ['with a seal without its HMAC', () => ours.seal('b', '/path', 'content').split('.')[0] ?? ''],
  ])('is not taken %s', (_what, seal) => {
    expect(ours.accepts(seal(), 'b', '/path', 'content')).toBe(false);
  });

  it.each([31_000, -31_000])('is not taken %i ms late', (ms) => {
    const seal = ours.seal('b', '/path', 'content');
    clock.push(ms);
    expect(ours.accepts(seal, 'b', '/path', 'content')).toBe(false);
  });

  it('is not taken again however many come between, and what is old is forgotten', () => {
    const first = ours.seal('b', '/path', 'content');
    ours.accepts(first, 'b', '/path', 'content');
    for (let count = 0; count < 100; count += 1) {
      clock.push(500);
      ours.accepts(ours.seal('b', '/path', 'content'), 'b', '/path', 'content');
      expect(ours.accepts(first, 'b', '/path', 'content')).toBe(false);
    }
    clock.push(61_000);
    ours.accepts(ours.seal('b', '/path', 'content'), 'b', '/path', 'content');
    expect(ours.remembered).toBe(1);
  });
});
