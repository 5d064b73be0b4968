import { type Environment, type Observed, type Status } from './environment';
import { isAlive } from './environment.machine';

const MINUTE = 60_000;

/** How long a transition may take (contract §4). */
export const DEADLINES = {
  create: 10 * MINUTE,
  withoutProgress: 3 * MINUTE,
  start: 5 * MINUTE,
  stop: 2 * MINUTE,
  delete: 10 * MINUTE,
};

export type Deadline = 'in_time' | 'start_timeout' | 'kill' | 'stop_timeout' | 'delete_failed';

/** Has the transition that is shown taken too long? Time without an answering runtime does not count. */
export function deadlineOf(environment: Environment, now: Date): Deadline {
  const { shown, since, progressAt, observed } = environment;
  if (observed.unreachableSince) return 'in_time';
  const age = now.getTime() - since.getTime();
  const idle = now.getTime() - Math.max(since.getTime(), progressAt.getTime());
  switch (shown.status) {
    case 'creating':
      return age >= DEADLINES.create || idle >= DEADLINES.withoutProgress ? 'start_timeout' : 'in_time';
    case 'starting':
      return age >= DEADLINES.start ? 'start_timeout' : 'in_time';
    case 'stopping':
      return age >= 2 * DEADLINES.stop ? 'stop_timeout' : age >= DEADLINES.stop ? 'kill' : 'in_time';
    case 'deleting':
      return age >= DEADLINES.delete ? 'delete_failed' : 'in_time';
    default:
      return 'in_time';
  }
}

/** What was seen, with the deadline taken in: a start is given up, a stop or a delete goes on under the name of its lateness. */
export function withDeadline(environment: Environment, now: Date): Observed {
  const { observed, wanted } = environment;
  const deadline = deadlineOf(environment, now);
  if (deadline === 'start_timeout') {
    const message = 'It did not start in time';
    return { ...observed, failure: { generation: wanted.generation, reason: 'start_timeout', message, retryable: true } };
  }
  return { ...observed, overdue: deadline === 'stop_timeout' || deadline === 'delete_failed' ? deadline : null };
}

/** The time in which the runtime did not answer, taken out: it answers again. */
export function resumed(environment: Environment, now: Date): Environment {
  const { unreachableSince } = environment.observed;
  if (!unreachableSince) return environment;
  const later = (time: Date): Date =>
    new Date(time.getTime() + Math.max(0, now.getTime() - Math.max(time.getTime(), unreachableSince.getTime())));
  return {
    ...environment,
    observed: { ...environment.observed, unreachableSince: null },
    since: later(environment.since),
    progressAt: later(environment.progressAt),
  };
}

/**
 * Milliseconds until the next look. What is given up or stopped and still alive is on its way out.
 * @param told its runtime tells of changes; what only time changes remains to be seen
 */
export function nextLookMs(
  status: Status,
  { seen }: Pick<Observed, 'seen'>,
  sinceMs: number,
  failures: number,
  told: boolean,
): number {
  if (failures > 0) return Math.min(30_000, 250 * 2 ** Math.min(failures - 1, 7));
  const soon = told ? 3_000 : sinceMs < 10_000 ? 50 : 1_000;
  switch (status) {
    case 'creating':
    case 'starting':
    case 'stopping':
    case 'deleting':
      return soon;
    case 'running':
      return 3_000;
    case 'stopped':
    case 'error':
      // For a moment longer, for the sake of a start that was under way.
      return isAlive(seen) ? soon : sinceMs < 10_000 ? 1_000 : 300_000;
  }
}

export interface StopTime {
  readonly at: Date;
  readonly reason: 'idle' | 'max_lifetime';
}

/** When a running environment stops by itself; null: never. */
export function stopTimeOf(environment: Environment): StopTime | null {
  const { shown, startedAt, lastActivityAt, keepUntil, autoStopMinutes, planAutoStopMinutes, planLongestRunMinutes } =
    environment;
  if (shown.status !== 'running' || !startedAt) return null;
  const own = autoStopMinutes === 0 ? Infinity : (autoStopMinutes ?? Infinity);
  // The owner's may be of a larger plan, before a downgrade.
  const idleMinutes = Math.min(own, planAutoStopMinutes ?? Infinity);
  const active = Math.max(startedAt.getTime(), lastActivityAt?.getTime() ?? 0);
  const idleAt = Math.max(active + idleMinutes * MINUTE, keepUntil?.getTime() ?? 0);
  const longestAt = planLongestRunMinutes === null ? Infinity : startedAt.getTime() + planLongestRunMinutes * MINUTE;
  const at = Math.min(idleAt, longestAt);
  return at === Infinity ? null : { at: new Date(at), reason: longestAt <= idleAt ? 'max_lifetime' : 'idle' };
}
