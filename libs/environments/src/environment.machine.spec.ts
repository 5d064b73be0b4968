import { type Sighting } from '@devpocket/runtime';
import fc from 'fast-check';
import { DEADLINES, deadlineOf } from './deadline.policy';
import { type Environment, type Observed, type Wanted } from './environment';
import { decide, NOTHING_SEEN, observe, show, withWish } from './environment.machine';
import { WISHES, type Wish } from './lifecycle.service';
import { bytes, cpuMillis } from './quantity.policy';

const wanted = (desired: Wanted['desired'], generation = 1): Wanted => ({ desired, generation, why: 'user' });
const begun = (generation: number, more: Partial<Observed> = {}): Observed => ({ ...NOTHING_SEEN, begun: generation, ...more });

describe('the decision', () => {
  const running = (incarnation: number): Sighting => ({ seen: 'running', incarnation, startupFailed: null });
  const gone = (incarnation: number): Sighting => ({ seen: 'stopped', incarnation, reason: null, message: null });

  it.each([
    ['nothing is there yet', wanted('running'), NOTHING_SEEN, { seen: 'absent' }, 'start'],
    ['it runs', wanted('running'), begun(1), running(1), 'settle'],
    ['an older incarnation runs', wanted('running', 2), begun(1), running(1), 'stop'],
    ['the older one has stopped', wanted('running', 2), begun(1), gone(1), 'start'],
    ['it ended by itself', wanted('running'), begun(1), gone(1), 'fail'],
    ['it vanished', wanted('running'), begun(1), { seen: 'absent' }, 'fail'],
    ['the act was not recorded and it runs', wanted('running'), NOTHING_SEEN, running(1), 'settle'],
    [
      'it failed',
      wanted('running'),
      begun(1),
      { seen: 'failed', incarnation: 1, reason: 'crash_loop', message: '', retryable: true },
      'fail',
    ],
    ['it should be stopped and runs', wanted('stopped'), begun(1), running(1), 'stop'],
    ['it should be stopped and is', wanted('stopped'), begun(1), gone(1), 'settle'],
    ['it is to be deleted and runs', wanted('deleted'), begun(1), running(1), 'destroy'],
    ['it is to be deleted and has stopped', wanted('deleted'), begun(1), gone(1), 'destroy'],
    ['it is to be deleted and is gone', wanted('deleted'), begun(1), { seen: 'absent' }, 'forget'],
    [
      'it was given up and still runs',
      wanted('running'),
      begun(1, { failure: { generation: 1, reason: 'internal', message: '', retryable: true } }),
      running(1),
      'stop',
    ],
    [
      'it was given up and has ended',
      wanted('running'),
      begun(1, { failure: { generation: 1, reason: 'internal', message: '', retryable: true } }),
      gone(1),
      'settle',
    ],
  ] as const)('when %s', (_what, wish, before, sighting, step) => {
    expect(decide(sighting, wish, before)).toBe(step);
  });
});

describe('the status', () => {
  it('is stopping, then starting, never stopped, during a restart', () => {
    const before = { wanted: wanted('running'), observed: begun(1, { seen: 'running', incarnation: 1, ranOnce: true }) };
    const restart = withWish(before, wanted('running', 2));
    expect(restart.shown.status).toBe('stopping');
    const stopped = observe(restart.observed, { seen: 'stopped', incarnation: 1, reason: null, message: null }, restart.wanted);
    expect(show(restart.wanted, stopped).status).toBe('starting');
  });

  it('is creating until it has run once, starting afterwards', () => {
    expect(show(wanted('running'), NOTHING_SEEN)).toMatchObject({ status: 'creating', phase: 'queued', progress: 0 });
    expect(show(wanted('running', 2), { ...NOTHING_SEEN, ranOnce: true }).status).toBe('starting');
  });

  it('is stopping while somebody else ends what should run', () => {
    const ending = observe(begun(1, { seen: 'running', ranOnce: true }), { seen: 'stopping', incarnation: 1 }, wanted('running'));
    expect(show(wanted('running'), ending)).toMatchObject({ status: 'stopping', reason: null });
  });

  it('is stopping after a stop during a start, until a look has shown that nothing runs', () => {
    const stop = withWish({ wanted: wanted('running'), observed: NOTHING_SEEN }, wanted('stopped'));
    expect(stop.shown.status).toBe('stopping');
    expect(show(stop.wanted, observe(stop.observed, { seen: 'absent' }, stop.wanted)).status).toBe('stopped');
  });

  it('keeps its word while the runtime does not answer', () => {
    const running = begun(1, { seen: 'running', incarnation: 1, ranOnce: true });
    expect(show(wanted('running'), { ...running, unreachableSince: new Date() })).toMatchObject({
      status: 'running',
      reason: 'runtime_unreachable',
    });
  });

  const sighting: fc.Arbitrary<Sighting> = fc.oneof(
    fc.constant({ seen: 'absent' } as const),
    fc.record({
      seen: fc.constant('starting' as const),
      incarnation: fc.integer({ min: 1, max: 3 }),
      phase: fc.constant('starting_container' as const),
      progress: fc.integer({ min: 0, max: 100 }),
    }),
    fc.record({
      seen: fc.constant('running' as const),
      incarnation: fc.integer({ min: 1, max: 3 }),
      startupFailed: fc.constant(null),
    }),
    fc.record({
      seen: fc.constant('stopped' as const),
      incarnation: fc.integer({ min: 1, max: 3 }),
      reason: fc.constant(null),
      message: fc.constant(null),
    }),
  );

  it('has a progress that never falls within a start, whatever is seen', () => {
    fc.assert(
      fc.property(fc.array(sighting), (sightings) => {
        const wish = wanted('running', 3);
        let observed: Observed = NOTHING_SEEN;
        let last = 0;
        for (const one of sightings) {
          observed = observe(observed, one, wish);
          const { status, progress } = show(wish, observed);
          if (status === 'creating' && progress !== null) {
            expect(progress).toBeGreaterThanOrEqual(last);
            last = progress;
          }
        }
      }),
    );
  });
});

describe('what is shown of one that runs', () => {
  it.each([
    [null, undefined, null, null],
    ['exit 3', null, 'startup_failed', 'exit 3'],
    [null, 'too small', 'volume_failed', 'too small'],
    ['exit 3', 'too small', 'startup_failed', 'exit 3; too small'],
  ] as const)('tells what failed beside it: %s, %s', (startupFailed, volume, reason, message) => {
    const sighting: Sighting = {
      seen: 'running',
      incarnation: 1,
      startupFailed,
      ...(volume === undefined ? {} : { volumeFailed: volume }),
    };
    const observed = observe(NOTHING_SEEN, sighting, wanted('running'));
    expect(show(wanted('running'), observed)).toMatchObject({ status: 'running', phase: 'ready', reason, message });
    const ended = observe(observed, { seen: 'stopped', incarnation: 1, reason: null, message: null }, wanted('stopped'));
    expect(show(wanted('stopped'), ended)).toMatchObject({ status: 'stopped', reason: 'user', message: null });
  });
});

describe('deadlines', () => {
  const now = new Date('2026-01-01T12:00:00Z');
  const at = (status: Environment['shown']['status'], age: number, progressAge = age, unreachable = false): Environment =>
    ({
      shown: { status },
      since: new Date(now.getTime() - age),
      progressAt: new Date(now.getTime() - progressAge),
      observed: { ...NOTHING_SEEN, unreachableSince: unreachable ? now : null },
    }) as unknown as Environment;

  it.each([
    ['creating', DEADLINES.create, 0, 'start_timeout'],
    ['creating', DEADLINES.create - 1, 0, 'in_time'],
    ['creating', DEADLINES.withoutProgress, DEADLINES.withoutProgress, 'start_timeout'],
    ['starting', DEADLINES.start, 0, 'start_timeout'],
    ['starting', DEADLINES.start - 1, 0, 'in_time'],
    ['stopping', DEADLINES.stop, 0, 'kill'],
    ['stopping', 2 * DEADLINES.stop, 0, 'stop_timeout'],
    ['deleting', DEADLINES.delete, 0, 'delete_failed'],
    ['running', 1e12, 1e12, 'in_time'],
  ] as const)('%s for %i ms is %s', (status, age, progressAge, verdict) => {
    expect(deadlineOf(at(status, age, progressAge), now)).toBe(verdict);
    expect(deadlineOf(at(status, age, progressAge, true), now)).toBe('in_time');
  });
});

describe('quantities', () => {
  it.each([
    ['500m', 500],
    ['2', 2000],
    ['1.5', 1500],
    ['0.001', 1],
    ['1e3', 1_000_000],
    ['.5', 500],
    ['2.', 2000],
    ['0.0005', null],
    ['.', null],
    ['m', null],
    ['+1', null],
    ['-1', null],
    ['1 ', null],
    ['', null],
    ['1Mi', 1_048_576_000],
  ])('%p are %p thousandths of a core', (text, value) => {
    expect(cpuMillis(text)).toBe(value);
  });

  it.each([
    ['1Gi', 2 ** 30],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['1G', 1e9],
    ['128974848', 128974848],
    ['129e6', 129e6],
    ['123Mi', 123 * 2 ** 20],
    ['1m', 1],
    ['1.0001Gi', 1_073_849_199],
    ['0.1Ki', 103],
    ['.5Gi', 2 ** 29],
    ['9Ei', null],
    ['x', null],
  ])('%p are %p bytes', (text, value) => {
    expect(bytes(text)).toBe(value);
  });

  it('compare as quantities, not as text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (n) => {
        expect(bytes(`${n}Ki`)).toBe(bytes(String(n * 1024)));
        expect(cpuMillis(`${n}m`)).toBe(cpuMillis((n / 1000).toFixed(3)));
      }),
    );
  });
});

it('every wish has an answer in every status', () => {
  const table = Object.fromEntries(
    (Object.keys(WISHES) as Wish[]).map((wish) => [
      wish,
      Object.entries(WISHES[wish])
        .filter(([, answer]) => answer !== 'refuse')
        .map(([status]) => status)
        .sort(),
    ]),
  );
  expect(table).toEqual({
    start: ['creating', 'error', 'running', 'starting', 'stopped', 'stopping'],
    stop: ['creating', 'error', 'running', 'starting', 'stopped', 'stopping'],
    restart: ['error', 'running'],
    delete: ['creating', 'error', 'running', 'starting', 'stopped', 'stopping'],
  });
});
