import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { EventEmitter } from 'node:events';
import { type Environment, sameShown } from './environment';
import { type EnvironmentEvent } from './environment.events';
import { HistoryRepository } from './history.repository';

const CHANNEL = 'event';

/** Tells listeners in this process what has been written, in the order of `statusVersion`, and keeps the history. */
@Injectable()
export class EnvironmentEvents {
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  constructor(
    private readonly history: HistoryRepository,
    private readonly clock: Clock,
  ) {}

  /** @returns the way to stop listening */
  subscribe(listener: (event: EnvironmentEvent) => void): () => void {
    this.emitter.on(CHANNEL, listener);
    return () => this.emitter.off(CHANNEL, listener);
  }

  /** Tells what changed between two states of an environment; nothing when nothing that shows did. */
  async changed(before: Environment | null, after: Environment): Promise<void> {
    const { shown } = after;
    const base = this.base(after);
    const statusChanged =
      before?.shown.status !== shown.status ||
      before.shown.reason !== shown.reason ||
      before.shown.message !== shown.message ||
      before.wanted.desired !== after.wanted.desired;
    if (statusChanged) {
      this.emit({
        ...base,
        type: 'environment.status',
        status: shown.status,
        desired: after.wanted.desired,
        reason: shown.reason,
        message: shown.message,
      });
      await this.history.append(after.id, { type: shown.status, reason: shown.reason, message: shown.message });
    }
    if (
      before &&
      !sameShown(before.shown, shown) &&
      shown.phase !== null &&
      (before.shown.phase !== shown.phase || before.shown.progress !== shown.progress)
    ) {
      this.emit({ ...base, type: 'environment.progress', phase: shown.phase, progress: shown.progress ?? 0 });
    }
  }

  async deleted(environment: Environment): Promise<void> {
    this.emit({ ...this.base(environment), type: 'environment.deleted' });
    await this.history.removeAll(environment.id);
  }

  idleWarning(environment: Environment, stopAt: Date, minutesLeft: number): void {
    this.emit({ ...this.base(environment), type: 'environment.idle_warning', stopAt, minutesLeft });
  }

  private base(environment: Environment): { environmentId: string; userId: string; timestamp: Date; statusVersion: number } {
    return {
      environmentId: environment.id,
      userId: environment.userId,
      timestamp: this.clock.now(),
      statusVersion: environment.statusVersion,
    };
  }

  private emit(event: EnvironmentEvent): void {
    this.emitter.emit(CHANNEL, event);
  }
}
