import { ManualClock } from '@testing/kernel';
import { Loop } from './loop';

/** Lets everything that is ready run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function counting(
  clock: ManualClock,
  turn?: () => Promise<boolean | number | void>,
): { loop: Loop; turns: () => number; errors: unknown[] } {
  let turns = 0;
  const errors: unknown[] = [];
  const loop = new Loop(clock, {
    name: 'test',
    intervalMs: 1000,
    jitter: 0,
    turn: () => {
      turns += 1;
      return turn?.() ?? Promise.resolve();
    },
    onError: (error) => errors.push(error),
  });
  return { loop, turns: () => turns, errors };
}

describe('a loop', () => {
  it('takes a turn, then one more after each interval', async () => {
    const clock = new ManualClock();
    const { loop, turns } = counting(clock);
    loop.start();
    await settle();
    expect(turns()).toBe(1);
    clock.push(999);
    await settle();
    expect(turns()).toBe(1);
    clock.push(1);
    await settle();
    expect(turns()).toBe(2);
    await loop.stop();
  });

  it('takes the next turn as soon as the one before says, but no later than after its interval', async () => {
    const clock = new ManualClock();
    const pauses = [300, 5_000];
    const { loop, turns } = counting(clock, () => Promise.resolve(pauses.shift()));
    loop.start();
    await settle();
    clock.push(299);
    await settle();
    expect(turns()).toBe(1);
    clock.push(1);
    await settle();
    expect(turns()).toBe(2);
    clock.push(999);
    await settle();
    expect(turns()).toBe(2);
    clock.push(1);
    await settle();
    expect(turns()).toBe(3);
    await loop.stop();
  });

  it('takes the next turn at once when woken, also during a turn', async () => {
    const clock = new ManualClock();
    let release = (): void => undefined;
    const { loop, turns } = counting(clock, () => new Promise((resolve) => (release = resolve)));
    loop.start();
    await settle();
    loop.wake();
    release();
    await settle();
    expect(turns()).toBe(2);
    release();
    await settle();
    expect(turns()).toBe(2);
    loop.wake();
    await settle();
    expect(turns()).toBe(3);
    release();
    await loop.stop();
  });

  it('goes on after a failure and tells of it', async () => {
    const clock = new ManualClock();
    const { loop, turns, errors } = counting(clock, () => Promise.reject(new Error('no')));
    loop.start();
    await settle();
    clock.push(1000);
    await settle();
    expect(turns()).toBe(2);
    expect(errors).toHaveLength(2);
    expect(loop.state()).toMatchObject({ failures: 2, lastError: 'no', running: true });
    await loop.stop();
    expect(loop.state().running).toBe(false);
  });

  it('stops only when the turn under way has ended', async () => {
    const clock = new ManualClock();
    let release = (): void => undefined;
    const { loop } = counting(clock, () => new Promise((resolve) => (release = resolve)));
    loop.start();
    await settle();
    let stopped = false;
    const stopping = loop.stop().then(() => (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    release();
    await stopping;
    expect(stopped).toBe(true);
  });
});
