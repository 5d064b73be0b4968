import { type Scope } from '@devpocket/access';

/** A key as its owner sees it; the secret is known to nobody but who was shown it. */
export interface ApiKey {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  /** `dp_` and 8 characters: what the key begins with. */
  readonly prefix: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  /** Null: it does not expire. */
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
}

/** A key with what checking it needs. */
export interface StoredApiKey extends ApiKey {
  /** SHA-256 of the whole key, hex. */
  readonly hash: string;
  /** A key of an earlier epoch of its account has ended. */
  readonly epoch: number;
}
