import { type Clock } from '@devpocket/kernel';

export interface Hit {
  readonly allowed: boolean;
  readonly limit: number;
  /** Hits left in this window, at least 0. */
  readonly remaining: number;
  /** Milliseconds until the window ends. */
  readonly resetMs: number;
}

/** Fixed-window counters behind every rate limit; shared across replicas where the implementation is. */
export abstract class Counters {
  /** Counts one hit on `key`; the first one opens a window of `windowMs`. */
  abstract hit(key: string, limit: number, windowMs: number): Promise<Hit>;
}

interface Window {
  hits: number;
  readonly ends: number;
}

/** How many windows are kept before the ended ones are looked for. */
const SWEEP_AT = 10_000;

export class MemoryCounters extends Counters {
  private readonly windows = new Map<string, Window>();
  private sweepAt = SWEEP_AT;

  constructor(private readonly clock: Clock) {
    super();
  }

  hit(key: string, limit: number, windowMs: number): Promise<Hit> {
    const now = this.clock.millis();
    let window = this.windows.get(key);
    if (!window || window.ends <= now) {
      this.sweep(now);
      window = { hits: 0, ends: now + windowMs };
      this.windows.set(key, window);
    }
    window.hits += 1;
    const { hits, ends } = window;
    return Promise.resolve({ allowed: hits <= limit, limit, remaining: Math.max(0, limit - hits), resetMs: ends - now });
  }

  /** Amortised: each sweep doubles the size at which the next one runs, relative to what is alive. */
  private sweep(now: number): void {
    if (this.windows.size < this.sweepAt) return;
    for (const [key, window] of this.windows) if (window.ends <= now) this.windows.delete(key);
    this.sweepAt = Math.max(SWEEP_AT, this.windows.size * 2);
  }
}
