import { createHash } from 'node:crypto';

/** What is kept of a user's events: the last so many, and none that is older. */
export const EVENTS_KEPT = 1000;
export const EVENTS_KEPT_MS = 24 * 3_600_000;

/** Why a cursor leads nowhere: events behind it are gone, it is none, it is another user's, or it lies beyond the newest. */
export type LostCursor = 'too_old' | 'unreadable' | 'foreign' | 'unknown';

const DIGITS = 9;
const CURSOR = /^([0-9a-z]{9})-([0-9a-f]{8})$/;

const markOf = (userId: string): string => createHash('sha256').update(userId).digest('hex').slice(0, 8);

/** An event's id: opaque to clients, in the order of the user's events when compared as text. */
export function toCursor(userId: string, seq: number): string {
  return `${seq.toString(36).padStart(DIGITS, '0')}-${markOf(userId)}`;
}

export function readCursor(userId: string, cursor: string): number | LostCursor {
  const [, digits, mark] = CURSOR.exec(cursor) ?? [];
  if (digits === undefined) return 'unreadable';
  return mark === markOf(userId) ? parseInt(digits, 36) : 'foreign';
}

/**
 * May a reader go on behind `seq`?
 * @param head the newest
 * @param next the event behind `seq` as it is stored, if it still is
 */
export function canResume(
  seq: number,
  head: number,
  next: { readonly seq: number; readonly writtenAt: Date } | undefined,
  now: Date,
): LostCursor | null {
  if (seq > head) return 'unknown';
  if (seq === head) return null;
  const kept = next?.seq === seq + 1 && now.getTime() - next.writtenAt.getTime() <= EVENTS_KEPT_MS && head - seq <= EVENTS_KEPT;
  return kept ? null : 'too_old';
}
