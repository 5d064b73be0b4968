/** Who did it: an account, or nobody known (a failed sign-in, the server itself). */
export interface AuditEntry {
  /** The acting account's id; null when nobody is signed in. */
  readonly actor: string | null;
  /** `noun.verb`, e.g. `session.revoked`. */
  readonly action: string;
  /** What it was done to, e.g. `user:<id>`; null when that is not known. */
  readonly target: string | null;
  readonly result: 'success' | 'failure';
  readonly ip: string | null;
  readonly requestId: string | null;
  /** Further facts, short and never secret. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}
