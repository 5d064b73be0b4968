/**
 * The form in which usernames and addresses are compared: two that differ only in case, width or composition are the same.
 * A username never contains `@`, an address always does, so one key space serves both.
 */
export function nameKey(name: string): string {
  // By way of upper case: `ς` and `σ` have one, and `ß` is `SS` there.
  return name.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFKC').trim();
}
