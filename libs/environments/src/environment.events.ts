import { type Phase, type StatusReason } from '@devpocket/runtime';
import { type DesiredStatus, type Status } from './environment';

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

/** News of environments; each is told after it was written. */
export type EnvironmentEvent = StatusEvent | ProgressEvent | DeletedEvent | IdleWarningEvent;
