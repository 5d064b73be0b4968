import { type Environment, type Status } from './environment';

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

/** Milliseconds until the next look. */
export function nextLookMs(status: Status, sinceMs: number, failures: number): number {
  if (failures > 0) return Math.min(30_000, 250 * 2 ** Math.min(failures - 1, 7));
  switch (status) {
    case 'creating':
    case 'starting':
    case 'stopping':
    case 'deleting':
      return sinceMs < 10_000 ? 50 : 1_000;
    case 'running':
      return 3_000;
    case 'stopped':
    case 'error':
      return 300_000;
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
  const idleMinutes = autoStopMinutes === 0 ? null : (autoStopMinutes ?? planAutoStopMinutes);
  const active = Math.max(startedAt.getTime(), lastActivityAt?.getTime() ?? 0);
  const idleAt = idleMinutes === null ? Infinity : Math.max(active + idleMinutes * MINUTE, keepUntil?.getTime() ?? 0);
  const longestAt = planLongestRunMinutes === null ? Infinity : startedAt.getTime() + planLongestRunMinutes * MINUTE;
  const at = Math.min(idleAt, longestAt);
  return at === Infinity ? null : { at: new Date(at), reason: longestAt <= idleAt ? 'max_lifetime' : 'idle' };
}
