import { type RuntimeKind } from '@devpocket/runtime';

export const ORPHAN_KINDS = ['object', 'record'] as const;
/** An `object` is something that a runtime holds without a record of it; a `record` an environment of which no runtime holds anything. */
export type OrphanKind = (typeof ORPHAN_KINDS)[number];

export interface Orphan {
  /** The environment's: there is one of each. */
  readonly id: string;
  readonly kind: OrphanKind;
  readonly runtimeKind: RuntimeKind;
  readonly clusterId: string | null;
  readonly userId: string;
  /** When it was noticed. */
  readonly since: Date;
}

const DAY_MS = 86_400_000;
/** What clusters hold beside pods and volumes is asked of them, and nobody waits for it. */
export const SWEEP_MS = 15 * 60_000;
/** Processes without a record end after this, seen at least twice. */
export const END_AFTER_MS = 60_000;
/** Volumes are somebody's work: a database restored from a backup, or a mistake with MONGODB_URL, can still be put right. */
export const REMOVE_AFTER_MS = 7 * DAY_MS;
