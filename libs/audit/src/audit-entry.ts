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
  /** Further facts, short and never secret. `user`: the account it is about, where the target does not say. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

/** An entry as it was kept. */
export interface KeptAuditEntry extends Required<AuditEntry> {
  readonly id: string;
  readonly at: Date;
}

export interface AuditFilter {
  /** The account that entries are about: its own doings, and what was done to it. */
  readonly account?: string;
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  /** Inclusive. */
  readonly from?: Date;
  /** Exclusive. */
  readonly to?: Date;
}

/** Whose business an entry is besides administrators': who it was done to, else who did it. */
export function accountOf({ actor, target, details }: AuditEntry): string | null {
  const named = /^user:([0-9a-f]{24})$/.exec(target ?? '')?.[1] ?? details?.user;
  return typeof named === 'string' ? named : actor;
}
