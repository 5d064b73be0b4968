import { DomainError } from './domain-error';
import { isId } from './id';

/** A request for one page, newest first. `after` is the decoded cursor: the last row of the page before. */
export interface PageRequest {
  /** 1–100 */
  readonly limit: number;
  readonly after: PageCursor | null;
}

/** Where a page ended: the sort time in ms since the epoch, and the id as tie-breaker. */
export interface PageCursor {
  readonly time: number;
  readonly id: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
  /** The cursor of the next page, or null on the last one. */
  readonly next: PageCursor | null;
}

export function encodeCursor(cursor: PageCursor): string {
  return Buffer.from(`${cursor.time}.${cursor.id}`).toString('base64url');
}

/** @throws DomainError 422 for a cursor that was not made by `encodeCursor`. */
export function decodeCursor(text: string): PageCursor {
  const [time = '', id = '', rest] = Buffer.from(text, 'base64url').toString('utf8').split('.');
  if (rest === undefined && /^\d{1,15}$/.test(time) && isId(id)) return { time: Number(time), id };
  throw DomainError.invalid({ field: 'cursor', code: 'invalid_cursor', message: 'is not a cursor of this list' });
}

/** A page of rows that are all at hand, in any order. */
export function pageOf<T>(rows: readonly T[], { limit, after }: PageRequest, cursorOf: (row: T) => PageCursor): Page<T> {
  const older = (a: PageCursor, b: PageCursor): boolean => a.time < b.time || (a.time === b.time && a.id < b.id);
  const sorted = [...rows].sort((a, b) => (older(cursorOf(a), cursorOf(b)) ? 1 : -1));
  return toPage(after ? sorted.filter((row) => older(cursorOf(row), after)) : sorted, limit, rows.length, cursorOf);
}

/** Cuts rows fetched with `limit + 1` into a page. */
export function toPage<T>(rows: readonly T[], limit: number, total: number, cursorOf: (row: T) => PageCursor): Page<T> {
  const items = rows.slice(0, limit);
  const last = items[items.length - 1];
  return { items, total, next: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}
