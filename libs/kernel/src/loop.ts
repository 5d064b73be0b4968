import { type Clock } from './clock';

export interface LoopOptions {
  readonly name: string;
  /** Milliseconds between the end of one turn and the start of the next. */
  readonly intervalMs: number;
  /** The interval is stretched by up to this share at random (0.1 = 10 %), so that replicas do not march in step. */
  readonly jitter?: number;
  /** One turn. Returns true when there is more to do at once, or in how many milliseconds there is, if that is before the interval's end. */
  readonly turn: (signal: AbortSignal) => Promise<boolean | number | void>;
  readonly onError?: (error: unknown) => void;
}

export interface LoopState {
  readonly name: string;
  readonly running: boolean;
  readonly turns: number;
  readonly failures: number;
  readonly lastTurnAt: Date | null;
  readonly lastError: string | null;
}

/** Background work with a name: one turn at a time, an interval between, and a stop that waits for the turn under way. */
export class Loop {
  private stopper: AbortController | null = null;
  private done: Promise<void> = Promise.resolve();
  private waker: AbortController | null = null;
  private woken = false;
  private turns = 0;
  private failures = 0;
  private lastTurnAt: Date | null = null;
  private lastError: string | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly options: LoopOptions,
  ) {}

  start(): void {
    if (this.stopper) return;
    this.stopper = new AbortController();
    this.done = this.run(this.stopper.signal);
  }

  /** Ends the pause, so that the next turn begins now, or right after the one under way. */
  wake(): void {
    this.woken = true;
    this.waker?.abort();
  }

  /** Aborts the turn's signal and waits until it has returned. */
  async stop(): Promise<void> {
    this.stopper?.abort();
    this.waker?.abort();
    await this.done;
    this.stopper = null;
  }

  state(): LoopState {
    const { turns, failures, lastTurnAt, lastError } = this;
    return { name: this.options.name, running: this.stopper !== null, turns, failures, lastTurnAt, lastError };
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.woken = false;
      let more: boolean | number | void = undefined;
      try {
        more = await this.options.turn(signal);
        this.lastError = null;
      } catch (error) {
        if (signal.aborted) return;
        this.failures += 1;
        this.lastError = error instanceof Error ? error.message : String(error);
        this.options.onError?.(error);
      }
      this.turns += 1;
      this.lastTurnAt = this.clock.now();
      if (more !== true) await this.pause(signal, typeof more === 'number' ? more : Infinity);
    }
  }

  private async pause(signal: AbortSignal, mostMs: number): Promise<void> {
    if (this.woken || signal.aborted) return;
    this.waker = new AbortController();
    const stretch = 1 + (this.options.jitter ?? 0.1) * Math.random();
    try {
      await this.clock.wait(Math.min(mostMs, this.options.intervalMs * stretch), this.waker.signal);
    } catch (error) {
      if (!this.waker.signal.aborted) throw error;
    } finally {
      this.waker = null;
    }
  }
}
