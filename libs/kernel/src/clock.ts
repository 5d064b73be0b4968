import { setTimeout as delay } from 'node:timers/promises';

/** Time, given rather than taken, so that tests push the clock and never sleep. */
export abstract class Clock {
  abstract now(): Date;

  /** Resolves after `ms` milliseconds of this clock; rejects with the signal's reason when it is aborted first. */
  abstract wait(ms: number, signal?: AbortSignal): Promise<void>;

  /** Milliseconds since the epoch. */
  millis(): number {
    return this.now().getTime();
  }
}

export class SystemClock extends Clock {
  now(): Date {
    return new Date();
  }

  /** Asked for each piece of output: without an object. */
  override millis(): number {
    return Date.now();
  }

  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    await delay(ms, undefined, signal ? { signal, ref: false } : { ref: false });
  }
}
