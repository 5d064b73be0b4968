import { type Region } from '@devpocket/kernel';
import { type Phase, type ResourceLimits, type RuntimeKind, type Seen, type StatusReason } from '@devpocket/runtime';
import { type News } from './environment.events';
import { type Alerts, type UsageReading } from './resource-alert.policy';
import { type DesiredStatus, type Status } from './status';

export { type UsageReading } from './resource-alert.policy';
export { type DesiredStatus, type Status, STATUSES } from './status';

/** The wish: written by requests (and, in their place, by the idle policy), never by the reconciler. */
export interface Wanted {
  readonly desired: DesiredStatus;
  /** Grows by one with each start and restart: the incarnation that should run. */
  readonly generation: number;
  /** Why: `user`, `idle`, `max_lifetime`. */
  readonly why: StatusReason | null;
}

/** Given up: this generation ends in `error` until a request asks for another. */
export interface Failure {
  readonly generation: number;
  readonly reason: StatusReason;
  readonly message: string;
  readonly retryable: boolean;
}

/** What was seen last: written by the reconciler, never by requests. */
export interface Observed {
  readonly seen: Seen;
  /** Of what was seen; 0 when there is nothing. */
  readonly incarnation: number;
  readonly phase: Phase;
  readonly progress: number;
  /** The last generation whose start was begun. */
  readonly begun: number;
  /** Has it ever been running? Until then a start is a creation. */
  readonly ranOnce: boolean;
  readonly failure: Failure | null;
  /** The message of a startup command that failed, while it runs. */
  readonly startupFailed: string | null;
  /** Why its volume is smaller than it should be, while it runs. */
  readonly volumeFailed: string | null;
  /** Is its volume full, while it runs? */
  readonly volumeFull?: boolean;
  /** When the runtime stopped answering; null while it answers. */
  readonly unreachableSince: Date | null;
  /** A deadline of stop or delete has passed; it is being retried. */
  readonly overdue: StatusReason | null;
}

/** What clients see: computed from both halves, stored beside them only as the result. */
export interface Shown {
  readonly status: Status;
  readonly phase: Phase | null;
  readonly progress: number | null;
  readonly reason: StatusReason | null;
  readonly message: string | null;
  readonly retryable: boolean;
}

/** Is there nothing to tell? */
export function sameShown(a: Shown, b: Shown): boolean {
  return (
    a.status === b.status && a.phase === b.phase && a.progress === b.progress && a.reason === b.reason && a.message === b.message
  );
}

export interface Resources {
  readonly cpu: string;
  readonly memory: string;
  readonly storage: string;
}

export interface Environment {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly description: string | null;
  readonly template: { readonly name: string; readonly version: number };
  readonly image: string;
  readonly defaultPort: number | null;
  readonly startupCommands: readonly string[];
  readonly readOnlyRoot: boolean;
  readonly resources: Resources;
  readonly limits: ResourceLimits;
  readonly templateVariables: Readonly<Record<string, string>>;
  readonly environmentVariables: Readonly<Record<string, string>>;
  readonly region: Region | null;
  readonly runtimeKind: RuntimeKind;
  readonly clusterId: string | null;
  readonly wanted: Wanted;
  readonly observed: Observed;
  readonly shown: Shown;
  /** Does it hold a place of the plan's `active`? */
  readonly holdsPlace: boolean;
  /** Grows by one with each change that clients are told of. */
  readonly statusVersion: number;
  /** Grows by one with each write of what is wanted or seen. */
  readonly revision: number;
  /** When the status that is shown began, moved on by the time that the runtime was unreachable. */
  readonly since: Date;
  readonly progressAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly startedAt: Date | null;
  readonly lastAccessed: Date | null;
  readonly lastActivityAt: Date | null;
  readonly keepUntil: Date | null;
  /** The owner's: null is the plan's, 0 never. The plan's is the most that counts. */
  readonly autoStopMinutes: number | null;
  /** The plan's, as of the last start or of the owner's last word on it; null: never, no limit. */
  readonly planAutoStopMinutes: number | null;
  readonly planLongestRunMinutes: number | null;
  readonly usage: UsageReading;
  /** When it was read. */
  readonly usageAt: Date | null;
  /** Which of its limits it is near, as its owner was told. */
  readonly alerts: Alerts;
  /** What was written with the environment and is yet to be told. */
  readonly untold: readonly News[];
  /** The revision that last added to `untold`; null while there is nothing. */
  readonly untoldAt: number | null;
}
