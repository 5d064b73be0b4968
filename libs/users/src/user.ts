import { type Plan, type Role } from '@devpocket/access';
import { type Region } from './account.policy';

/** An account as the rest of the server sees it; never a hash, token or lock. */
export interface User {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly fullName: string | null;
  readonly isActive: boolean;
  readonly isVerified: boolean;
  readonly avatarUrl: string | null;
  readonly plan: Plan;
  /** Effective: plan `admin` implies it. */
  readonly role: Role;
  readonly preferredRegion: Region | null;
  readonly createdAt: Date;
  readonly lastLogin: Date | null;
}

export interface NewUser {
  readonly username: string;
  readonly email: string;
  readonly fullName: string | null;
  readonly preferredRegion: Region | null;
  readonly passwordHash: string | null;
  readonly isVerified: boolean;
  /** Left out: nobody has shown yet that the address is theirs. */
  readonly emailProven?: boolean;
  readonly avatarUrl?: string | null;
  /** Takes the place that only one account can have: fails with `sole_taken` when it is held. */
  readonly sole: boolean;
}

/** What an administrator may change. */
export interface AccountChange {
  readonly plan?: Plan;
  readonly isActive?: boolean;
  readonly isVerified?: boolean;
}

export interface ProfileChange {
  readonly fullName?: string | null;
  readonly preferredRegion?: Region | null;
  readonly email?: string;
}

/** An account with what its sign-in needs; for auth alone. */
export interface Credentials {
  readonly user: User;
  /** Null: an account without a password. */
  readonly passwordHash: string | null;
  /** A session begun in an earlier epoch has ended: one write ends them all. */
  readonly sessionEpoch: number;
  /** The same for API keys. */
  readonly keyEpoch: number;
  /** The same for identities of other providers that joined it, but for those with the account's own address. */
  readonly identityEpoch: number;
  /** Somebody has shown that the account's address is theirs: more than `isVerified`. */
  readonly emailProven: boolean;
  /** An address that becomes the account's once it is proven. */
  readonly pendingEmail: string | null;
}
