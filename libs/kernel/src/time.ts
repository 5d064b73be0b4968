const RFC_3339 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))?$/;

/** A time as in RFC 3339, or a date (its first instant in UTC); null for anything else, also for what no calendar has. */
export function parseTime(text: string): Date | null {
  if (!RFC_3339.test(text)) return null;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? null : time;
}
