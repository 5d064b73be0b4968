/** Wrong passwords in a row that lock an account (contract §2). */
export const MAX_WRONG = 5;
export const LOCK_MS = 30 * 60_000;
/** After a day without a further attempt a row of fewer is forgotten. */
export const FORGET_MS = 24 * 3_600_000;
/** An attempt that has not told its outcome by then died with its process, and counts as wrong. */
export const ATTEMPT_MS = 120_000;

/** One row of attempts. A success ends it; the next attempt begins a new one. */
export interface AttemptRow {
  readonly id: string;
  /** Tells this row from later ones under the same id. */
  readonly round: string;
  /** Attempts begun: counted as wrong until they turn out right. */
  readonly taken: number;
  /** Attempts that turned out wrong. */
  readonly wrong: number;
  readonly lastTakenAt: Date;
  readonly expiresAt: Date;
}

/** `wait`: every try is taken, but one under way may yet turn out right and clear the row. */
export type AttemptStep = 'open' | 'expire' | 'take' | 'wait' | 'locked';

export function decideAttempt(row: AttemptRow | null, now: Date): AttemptStep {
  if (!row) return 'open';
  if (row.expiresAt <= now) return 'expire';
  if (row.taken < MAX_WRONG) return 'take';
  if (row.wrong >= MAX_WRONG) return 'locked';
  return now.getTime() - row.lastTakenAt.getTime() >= ATTEMPT_MS ? 'locked' : 'wait';
}

/** When a row ends by itself, after its `taken`th attempt: the last try begins the lock. */
export function rowExpiry(taken: number, now: Date): Date {
  return new Date(now.getTime() + (taken >= MAX_WRONG ? LOCK_MS : FORGET_MS));
}
