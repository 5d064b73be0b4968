import { type StopTime } from './deadline.policy';
import { type Environment } from './environment';

const MINUTE = 60_000;
/** Minutes before the stop at which its owner is warned. */
const WARN_MINUTES = [5, 1];

/**
 * The warning that a coming stop calls for: the last of its moments that has come. A moment that had passed already when the stop
 * time was set (the owner lets it idle for three minutes) is none: each activity would bring that warning anew.
 */
export function warningDue(
  { startedAt, lastActivityAt }: Pick<Environment, 'startedAt' | 'lastActivityAt'>,
  stop: StopTime,
  now: Date,
): number | null {
  const active = Math.max(startedAt?.getTime() ?? 0, lastActivityAt?.getTime() ?? 0);
  const set = stop.reason === 'max_lifetime' ? (startedAt?.getTime() ?? 0) : active;
  const moments = WARN_MINUTES.map((minutes) => ({ minutes, at: stop.at.getTime() - minutes * MINUTE }));
  return moments.filter(({ at }) => at > set && at <= now.getTime()).at(-1)?.minutes ?? null;
}
