import { type Clock } from '@devpocket/kernel';

/** How often a shell that is held up is looked at again: nobody tells that a client has stalled. */
const LOOK_MS = 500;

export interface PacedShell {
  /** Position behind what it has printed so far. */
  end(): number;
  /** Position up to which it may print now. */
  limit(): number;
  over(): boolean;
  allow(position: number): void;
  /** It waits to print on. */
  heldUp(): void;
}

/** Lets a shell print on in steps, as its limit moves. */
export class OutputPace {
  private watched = false;

  /** @param allowed position up to which it may print from the beginning */
  constructor(
    private readonly clock: Clock,
    private readonly shell: PacedShell,
    private allowed: number,
  ) {}

  /** To be called whenever it has printed, or its limit may have moved. */
  review(): void {
    const { shell } = this;
    const end = shell.end();
    const limit = Math.floor(shell.limit());
    // Not for every byte: when half of what was allowed is used up.
    if (limit > this.allowed && this.allowed - end <= (limit - end) / 2) {
      this.allowed = limit;
      shell.allow(limit);
    }
    if (!this.isHeldUp) return;
    shell.heldUp();
    if (!this.watched) void this.watch();
  }

  private get isHeldUp(): boolean {
    return !this.shell.over() && this.shell.end() >= this.allowed;
  }

  private async watch(): Promise<void> {
    this.watched = true;
    while (this.isHeldUp) {
      await this.clock.wait(LOOK_MS);
      this.review();
    }
    this.watched = false;
  }
}
