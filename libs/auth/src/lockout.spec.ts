import { type Clock, SystemClock } from '@devpocket/kernel';
import { testSettings } from '@testing/config';
import { testOutbox } from '@testing/mail';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import fc from 'fast-check';
import { type Model } from 'mongoose';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { AuthKeys } from './auth-keys';
import { type AttemptRow, decideAttempt, FORGET_MS, LOCK_MS, MAX_WRONG } from './lockout.policy';
import { LockoutRepository } from './lockout.repository';
import { LockoutRecord, LockoutSchema } from './lockout.schema';
import { type AttemptOutcome, LockoutService } from './lockout.service';

const MINUTE = 60_000;

describe('decideAttempt', () => {
  const now = new Date('2026-01-01T00:00:00.000Z');
  const row = (over: Partial<AttemptRow>): AttemptRow => ({
    id: 'id',
    round: 'round',
    taken: 1,
    wrong: 0,
    lastTakenAt: now,
    expiresAt: new Date(now.getTime() + 1),
    ...over,
  });

  it.each([
    ['nothing yet', null, 'open'],
    ['a try left', row({ taken: 4, wrong: 4 }), 'take'],
    ['every try under way', row({ taken: 5, wrong: 4 }), 'wait'],
    ['one that died with its process', row({ taken: 5, wrong: 4, lastTakenAt: new Date(now.getTime() - 120_000) }), 'locked'],
    ['five wrong', row({ taken: 5, wrong: 5 }), 'locked'],
    ['five wrong long ago', row({ taken: 5, wrong: 5, expiresAt: now }), 'expire'],
  ])('%s', (_, seen, step) => expect(decideAttempt(seen, now)).toBe(step));
});

describe('LockoutService', () => {
  let database: TestDatabase;
  let model: Model<LockoutRecord>;
  const keys = new AuthKeys(testSettings({ DATA_DIR: tmpdir() }).auth);
  beforeAll(async () => {
    database = await openTestDatabase();
    model = database.connection.model(LockoutRecord.name, LockoutSchema);
    await model.createIndexes();
  });
  afterAll(() => database.close());

  const service = (clock: Clock = new SystemClock()): LockoutService =>
    new LockoutService(new LockoutRepository(model), keys, testOutbox(database.connection, clock), clock);
  const count = (outcomes: readonly AttemptOutcome[]): Record<AttemptOutcome, number> => ({
    right: outcomes.filter((outcome) => outcome === 'right').length,
    wrong: outcomes.filter((outcome) => outcome === 'wrong').length,
    locked: outcomes.filter((outcome) => outcome === 'locked').length,
  });
  const right = (): Promise<boolean> => Promise.resolve(true);
  const wrong = (): Promise<boolean> => Promise.resolve(false);

  it('gives parallel guesses five tries and no more, on any number of replicas', async () => {
    for (const subject of [{ userId: 'a'.repeat(24) }, { name: 'nobody' }]) {
      const replicas = [service(), service(), service()];
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, n) => replicas[n % 3]?.attempt(subject, wrong) ?? Promise.reject(new Error())),
      );
      expect(count(outcomes)).toEqual({ right: 0, wrong: 5, locked: 55 });
      expect(await service().attempt(subject, right)).toBe('locked');
    }
  });

  it('never locks out the right password, however many come at once beside four wrong ones', async () => {
    const subject = { name: randomUUID() };
    for (let n = 0; n < 4; n += 1) expect(await service().attempt(subject, wrong)).toBe('wrong');
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => service().attempt(subject, right)));
    expect(count(outcomes)).toEqual({ right: 30, wrong: 0, locked: 0 });
    expect(await model.countDocuments({ taken: { $gte: 5 }, wrong: { $lt: 5 } })).toBe(0);
  });

  it('compares no password once the tries are gone', async () => {
    const subject = { name: randomUUID() };
    let compared = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        service().attempt(subject, () => {
          compared += 1;
          return wrong();
        }),
      ),
    );
    expect(compared).toBe(MAX_WRONG);
  });

  it('gives a try back when the comparison did not take place', async () => {
    const subject = { name: randomUUID() };
    for (let n = 0; n < 10; n += 1) {
      await expect(service().attempt(subject, () => Promise.reject(new Error('busy')))).rejects.toThrow('busy');
    }
    expect(await service().attempt(subject, right)).toBe('right');
  });

  it('counts a wrong password whose row was cleared meanwhile in the next row', async () => {
    const subject = { name: randomUUID() };
    const lockout = service();
    const { promise: comparison, resolve: compared } = Promise.withResolvers<boolean>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const late = lockout.attempt(subject, () => {
      begin();
      return comparison;
    });
    await begun;
    expect(await lockout.attempt(subject, right)).toBe('right');
    compared(false);
    expect(await late).toBe('wrong');
    for (let n = 0; n < 4; n += 1) expect(await lockout.attempt(subject, wrong)).toBe('wrong');
    expect(await lockout.attempt(subject, wrong)).toBe('locked');
  });

  it('keeps no name, and the same row for one name in any case', async () => {
    await model.deleteMany({});
    await service().attempt({ name: 'Some.Body@Example.com' }, wrong);
    await service().attempt({ name: ' some.body@EXAMPLE.com' }, wrong);
    const rows = await model.find().lean();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows).toLowerCase()).not.toContain('body');
  });

  it('forgets when told to', async () => {
    const subject = { name: randomUUID() };
    for (let n = 0; n < 5; n += 1) await service().attempt(subject, wrong);
    expect(await service().attempt(subject, right)).toBe('locked');
    await service().clear(subject);
    expect(await service().attempt(subject, right)).toBe('right');
  });

  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant('wrong' as const) },
    { weight: 1, arbitrary: fc.constant('right' as const) },
    { weight: 2, arbitrary: fc.constantFrom(1, 10 * MINUTE, 29 * MINUTE, 30 * MINUTE, FORGET_MS - 1, FORGET_MS) },
  );

  it('locks after five in a row for half an hour, for every order of events', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const clock = new ManualClock(Date.now());
        const lockout = service(clock);
        const subject = { name: randomUUID() };
        const model = { row: 0, forgottenAt: Infinity };
        for (const act of steps) {
          if (typeof act === 'number') {
            clock.push(act);
            continue;
          }
          const now = clock.millis();
          if (now >= model.forgottenAt) model.row = 0;
          const outcome = await lockout.attempt(subject, act === 'right' ? right : wrong);
          if (model.row === MAX_WRONG) {
            expect(outcome).toBe('locked');
          } else {
            expect(outcome).toBe(act);
            model.row = act === 'right' ? 0 : model.row + 1;
            model.forgottenAt = now + (model.row === MAX_WRONG ? LOCK_MS : FORGET_MS);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
