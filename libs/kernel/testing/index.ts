import { Clock } from '../src';

interface Sleeper {
  readonly due: number;
  readonly resolve: () => void;
}

/** A clock that stands still until it is pushed. */
export class ManualClock extends Clock {
  private sleepers: Sleeper[] = [];

  constructor(private time = Date.parse('2026-01-01T00:00:00.000Z')) {
    super();
  }

  now(): Date {
    return new Date(this.time);
  }

  wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const reason = (): Error => (signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      if (signal?.aborted) {
        reject(reason());
        return;
      }
      const sleeper = { due: this.time + ms, resolve };
      this.sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.sleepers = this.sleepers.filter((other) => other !== sleeper);
        reject(reason());
      });
    });
  }

  /** Does anybody wait for just so long from now? Then a push of it wakes him. */
  awaits(ms: number): boolean {
    return this.sleepers.some(({ due }) => due === this.time + ms);
  }

  /** Moves time on by `ms` and wakes whoever is due. */
  push(ms: number): void {
    this.time += ms;
    const due = this.sleepers.filter((sleeper) => sleeper.due <= this.time);
    this.sleepers = this.sleepers.filter((sleeper) => sleeper.due > this.time);
    for (const sleeper of due) sleeper.resolve();
  }
}

export * from './free-port';
