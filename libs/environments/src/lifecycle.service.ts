import { type Plan, type Principal } from '@devpocket/access';
import { Injectable } from '@nestjs/common';
import { PLAN_LIMITS } from '@devpocket/users';
import { type Environment, type Status, type Wanted } from './environment';
import { EnvironmentEvents } from './environment-events';
import { environmentNotFound, invalidState, limitReached } from './environment.errors';
import { withWish } from './environment.machine';
import { checkCompute } from './environment.policy';
import { EnvironmentRepository } from './environment.repository';
import { EnvironmentReconciler } from './environment.reconciler';

export type Wish = 'start' | 'stop' | 'restart' | 'delete';

type Answer = 'act' | 'nothing' | 'refuse';

/** What each wish does in each status that is shown (contract §4). */
export const WISHES: Readonly<Record<Wish, Readonly<Record<Status, Answer>>>> = {
  start: {
    creating: 'nothing',
    starting: 'nothing',
    running: 'nothing',
    stopping: 'act',
    stopped: 'act',
    error: 'act',
    deleting: 'refuse',
  },
  stop: {
    creating: 'act',
    starting: 'act',
    running: 'act',
    stopping: 'nothing',
    stopped: 'nothing',
    error: 'act',
    deleting: 'refuse',
  },
  restart: {
    creating: 'refuse',
    starting: 'refuse',
    running: 'act',
    stopping: 'refuse',
    stopped: 'refuse',
    error: 'act',
    deleting: 'refuse',
  },
  delete: { creating: 'act', starting: 'act', running: 'act', stopping: 'act', stopped: 'act', error: 'act', deleting: 'refuse' },
};

function allowedFor(wish: Wish): readonly Status[] {
  return (Object.keys(WISHES[wish]) as Status[]).filter((status) => WISHES[wish][status] !== 'refuse');
}

function wishOf({ wanted }: Environment, wish: Wish, why: Wanted['why']): Wanted {
  switch (wish) {
    case 'start':
    case 'restart':
      return { desired: 'running', generation: wanted.generation + 1, why };
    case 'stop':
      return { desired: 'stopped', generation: wanted.generation, why };
    case 'delete':
      return { desired: 'deleted', generation: wanted.generation, why };
  }
}

/** Writes wishes. Each is one compare-and-set; one that lost a race is decided anew on what there is now. */
@Injectable()
export class LifecycleService {
  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly events: EnvironmentEvents,
    private readonly reconciler: EnvironmentReconciler,
  ) {}

  /** @throws DomainError `not_found | invalid_state | environment_limit_reached | plan_limit_exceeded` */
  async want(principal: Principal, id: string, wish: Wish): Promise<Environment> {
    for (;;) {
      const before = await this.environments.findOwned(principal.userId, id);
      if (!before) throw environmentNotFound();
      const after = await this.write(before, wish, 'user', principal.plan);
      if (after) return after;
    }
  }

  /** A stop in the owner's place, if the environment still is as it was read. */
  async stopFor(environment: Environment, why: 'idle' | 'max_lifetime'): Promise<void> {
    await this.write(environment, 'stop', why, null);
  }

  /** A delete with its owner's account, if the environment still is as it was read. */
  async deleteFor(environment: Environment): Promise<void> {
    await this.write(environment, 'delete', 'user', null);
  }

  /** Null when the environment changed meanwhile. */
  private async write(before: Environment, wish: Wish, why: Wanted['why'], plan: Plan | null): Promise<Environment | null> {
    const { status } = before.shown;
    // A stop under way whose environment is wanted again is no stop any more.
    const wantedAgain = before.wanted.desired === 'running' && status === 'stopping';
    const answer = wantedAgain && wish === 'stop' ? 'act' : wantedAgain && wish === 'start' ? 'nothing' : WISHES[wish][status];
    if (answer === 'refuse') throw invalidState(status, allowedFor(wish));
    if (answer === 'nothing') return before;
    const next = withWish(before, wishOf(before, wish, why));
    if (plan && next.wanted.desired === 'running') checkCompute(before.limits, plan);
    // By the place that it holds, not by its status: what was found alive after its stop is active without one.
    const limits = plan && next.wanted.desired === 'running' && !before.holdsPlace ? PLAN_LIMITS[plan] : null;
    const planEdit =
      plan && next.wanted.desired === 'running'
        ? { planAutoStopMinutes: PLAN_LIMITS[plan].autoStopMinutes, planLongestRunMinutes: PLAN_LIMITS[plan].longestRunMinutes }
        : {};
    const after = await this.environments.wish(before, next, limits, planEdit);
    if (after === 'active_limit' && plan)
      throw limitReached('active', plan, (await this.environments.places(before.userId)).active.length);
    if (typeof after === 'string') return null;
    await this.events.tell(after);
    this.reconciler.wake();
    return after;
  }
}
