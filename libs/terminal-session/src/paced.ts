import { type Clock } from '@devpocket/kernel';

/** Runs an act at once, but never twice at a time and no sooner than `pauseMs` after its last end; calls in between make one more run. */
export class Paced {
  private busy = false;
  private again = false;

  constructor(
    private readonly clock: Clock,
    private readonly pauseMs: number,
    private readonly act: () => Promise<void> | void,
  ) {}

  run(): void {
    this.again = true;
    if (!this.busy) void this.turns();
  }

  private async turns(): Promise<void> {
    this.busy = true;
    while (this.again) {
      this.again = false;
      await this.act();
      await this.clock.wait(this.pauseMs);
    }
    this.busy = false;
  }
}
