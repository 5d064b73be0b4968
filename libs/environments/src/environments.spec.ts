import { type Principal } from '@devpocket/access';
import { DomainError } from '@devpocket/kernel';
import { RuntimeError } from '@devpocket/runtime';
import { PLAN_LIMITS } from '@devpocket/users';
import { EnvironmentsWorld, principal } from '@testing/environments';
import fc from 'fast-check';
import { type Environment } from './environment';
import { isAlive, show } from './environment.machine';
import { EnvironmentRepository } from './environment.repository';
import { LifecycleService, type Wish } from './lifecycle.service';

const REPLICAS = 2;
const NAMES = ['a', 'b', 'c', 'd'];

type Act =
  | { readonly kind: 'create'; readonly replica: number; readonly name: string }
  | { readonly kind: 'wish'; readonly replica: number; readonly which: number; readonly wish: Wish }
  | { readonly kind: 'rush'; readonly which: readonly number[]; readonly wishes: readonly Wish[] }
  | { readonly kind: 'turn'; readonly replica: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'lose'; readonly which: number }
  | {
      readonly kind: 'fault';
      readonly fault: 'unreachable' | 'stuck' | 'refuses' | 'wait_before' | 'wait_after' | 'lose_answer' | 'old_look';
    }
  | { readonly kind: 'mend' }
  | { readonly kind: 'release' };

const replica = fc.nat(REPLICAS - 1);
const which = fc.nat(3);
const wish = fc.constantFrom<Wish>('start', 'stop', 'restart', 'delete');
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('create'), replica, name: fc.constantFrom(...NAMES) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('wish'), replica, which, wish }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rush'),
      which: fc.array(which, { minLength: 2, maxLength: 4 }),
      wishes: fc.array(wish, { minLength: 2, maxLength: 4 }),
    }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('turn'), replica }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('time'), ms: fc.constantFrom(100, 3_000, 31_000, 130_000, 400_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose'), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fault'),
      fault: fc.constantFrom('unreachable', 'stuck', 'refuses', 'wait_before', 'wait_after', 'lose_answer', 'old_look'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mend') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release') }) },
);

describe('environments', () => {
  let world: EnvironmentsWorld;
  beforeAll(async () => (world = await EnvironmentsWorld.open(REPLICAS)));
  afterAll(() => world.close());

  /** What users were told, beside what there is. */
  class Told {
    readonly user: Principal = principal('free');
    readonly wanted = new Map<string, { desired: string; generation: number }>();
    readonly versions = new Map<string, number>();

    async do(act: Act): Promise<void> {
      const { driver, clock } = world;
      switch (act.kind) {
        case 'create':
          await this.create(act.replica, act.name);
          return;
        case 'wish':
          await this.wish(act.replica, act.which, act.wish);
          return;
        case 'rush':
          await Promise.all([
            world.turn(0),
            ...act.which.map((which, index) => this.wish(index % REPLICAS, which, act.wishes[index] ?? 'stop')),
            world.turn(1),
          ]);
          return;
        case 'turn':
          await world.turn(act.replica);
          return;
        case 'time':
          clock.push(act.ms);
          await world.settle();
          return;
        case 'lose':
          driver.lose(this.id(act.which) ?? '');
          return;
        case 'mend':
          this.mend();
          return;
        case 'release':
          driver.release();
          await world.settle();
          return;
        case 'fault':
          if (act.fault === 'unreachable') driver.unreachable = true;
          else if (act.fault === 'stuck') driver.stuck = true;
          else if (act.fault === 'refuses') driver.startError = new RuntimeError('refused', 'full', 'quota_exceeded');
          else if (act.fault === 'old_look') driver.nextLookWaits = true;
          else driver.nextAct = act.fault;
      }
    }

    mend(): void {
      Object.assign(world.driver, { unreachable: false, stuck: false, startError: null, nextAct: null, nextLookWaits: false });
    }

    private id(which: number): string | undefined {
      return [...this.wanted.keys()].at(which % Math.max(1, this.wanted.size));
    }

    private async create(replica: number, name: string): Promise<void> {
      const made = await orRefused(world.create(this.user, name, replica));
      if (made) this.wanted.set(made.id, made.wanted);
    }

    private async wish(replica: number, which: number, wish: Wish): Promise<void> {
      const id = this.id(which);
      if (id === undefined) return;
      const after = await orRefused(world.get(LifecycleService, replica).want(this.user, id, wish));
      const before = this.wanted.get(id);
      // Of wishes that ran side by side the one of the higher version was the last.
      if (!after || after.statusVersion < (this.versions.get(id) ?? 0)) return;
      expect(after.wanted.generation).toBeGreaterThanOrEqual(before?.generation ?? 0);
      this.versions.set(id, after.statusVersion);
      this.wanted.set(id, after.wanted);
    }

    /** True of every moment. */
    async check(): Promise<void> {
      const all = await this.all();
      const limits = PLAN_LIMITS[this.user.plan];
      const held = all.filter(({ holdsPlace }) => holdsPlace);
      expect(held.length).toBeLessThanOrEqual(limits.active);
      for (const [id, told] of this.wanted) {
        const one = all.find((each) => each.id === id);
        if (!one) {
          expect(told.desired).toBe('deleted');
          continue;
        }
        expect({ desired: one.wanted.desired, generation: one.wanted.generation }).toEqual({
          desired: told.desired,
          generation: told.generation,
        });
        expect(one.shown).toEqual(show(one.wanted, one.observed));
        expect(one.statusVersion).toBeGreaterThanOrEqual(this.versions.get(id) ?? 0);
        this.versions.set(id, one.statusVersion);
        if (one.wanted.desired === 'running' && one.shown.status !== 'error') expect(one.holdsPlace).toBe(true);
        const owned = await world.get(EnvironmentRepository).findOwned(this.user.userId, id);
        expect(owned === null).toBe(told.desired === 'deleted');
      }
    }

    /** True in the end, once nothing is broken any more: whatever happened, each is what was asked for, or says why not. */
    async checkEnd(): Promise<void> {
      const all = await this.all();
      for (const one of all) {
        const sighting = await world.driver.look({ environmentId: one.id, userId: one.userId, clusterId: null });
        const alive = isAlive(sighting.seen);
        const { status } = one.shown;
        expect([one.wanted.desired, status, alive]).toEqual(
          one.wanted.desired === 'stopped'
            ? ['stopped', 'stopped', false]
            : ['running', status === 'error' ? 'error' : 'running', status !== 'error'],
        );
        if (sighting.seen === 'running') expect(sighting.incarnation).toBe(one.wanted.generation);
      }
      expect(all.filter(({ shown }) => shown.status === 'running').length).toBeLessThanOrEqual(PLAN_LIMITS.free.active);
      const held = (await world.driver.list()).map(({ environmentId }) => environmentId);
      expect(held.filter((id) => this.wanted.get(id)?.desired === 'deleted')).toEqual([]);
    }

    async settled(): Promise<boolean> {
      const all = await this.all();
      return all.every(({ shown, observed }) => {
        const resting = shown.status === 'running' || shown.status === 'stopped' || shown.status === 'error';
        return resting && (shown.status === 'running' || !isAlive(observed.seen));
      });
    }

    private async all(): Promise<readonly Environment[]> {
      const found = await Promise.all([...this.wanted.keys()].map((id) => world.get(EnvironmentRepository).find(id)));
      return found.filter((one) => one !== null);
    }
  }

  it('are what was asked for in the end, and never more than the plan has, whatever happens on the way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
        await world.clear();
        const told = new Told();
        for (const one of acts) {
          await told.do(one);
          await told.check();
        }
        told.mend();
        world.driver.release();
        await world.settle();
        // Longer than any lease, and one more look at all that is settled.
        for (let turn = 0; turn < 40 || (turn < 400 && !(await told.settled())); turn += 1) await world.turns(1, 10_000);
        await told.check();
        await told.checkEnd();
      }),
      { numRuns: Number(process.env.ENVIRONMENT_RUNS ?? 60) },
    );
  }, 180_000);
});

/** A refusal is an answer; anything else is a fault. */
async function orRefused<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof DomainError) return null;
    throw error;
  }
}
