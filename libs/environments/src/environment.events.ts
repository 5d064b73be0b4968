import { type Phase, type StatusReason } from '@devpocket/runtime';
import { type DesiredStatus, type Status } from './status';

interface Event {
  readonly environmentId: string;
  readonly userId: string;
  readonly timestamp: Date;
  readonly statusVersion: number;
}

export interface StatusEvent extends Event {
  readonly type: 'environment.status';
  readonly status: Status;
  readonly desired: DesiredStatus;
  readonly reason: StatusReason | null;
  readonly message: string | null;
}

export interface ProgressEvent extends Event {
  readonly type: 'environment.progress';
  readonly phase: Phase;
  readonly progress: number;
}

/** Container and volume are gone. */
export interface DeletedEvent extends Event {
  readonly type: 'environment.deleted';
}

export interface IdleWarningEvent extends Event {
  readonly type: 'environment.idle_warning';
  readonly stopAt: Date;
  readonly minutesLeft: number;
}

export const WATCHED_RESOURCES = ['cpu', 'memory', 'storage'] as const;
export type WatchedResource = (typeof WATCHED_RESOURCES)[number];
export type AlertLevel = 'warning' | 'critical';

/** A resource comes near its limit, or is no longer. */
export interface ResourceEvent extends Event {
  readonly type: 'resource.warning';
  readonly resource: WatchedResource;
  /** Of the limit. */
  readonly percent: number;
  readonly level: AlertLevel | 'cleared';
}

/** News of environments; each is told after it was written. */
export type EnvironmentEvent = StatusEvent | ProgressEvent | DeletedEvent | IdleWarningEvent | ResourceEvent;

/** An event that is to be told exactly once: `key` is its name among its environment's. */
export interface News {
  readonly key: string;
  readonly event: EnvironmentEvent;
}
