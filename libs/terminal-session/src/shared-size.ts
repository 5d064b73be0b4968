import { type Clock } from '@devpocket/kernel';
import { type TerminalSize } from '@devpocket/runtime';
import { Paced } from './paced';

/** A window that is dragged gives a size a frame; a program repaints for each. */
const RESIZE_PAUSE_MS = 20;

/** The one size that all clients share. The PTY has it, and they hear of it, no more often than a program can repaint. */
export class SharedSize {
  private sent: TerminalSize;
  private readonly sending: Paced;
  private readonly telling: Paced;

  constructor(
    clock: Clock,
    private size: TerminalSize,
    private readonly resize: (size: TerminalSize) => Promise<void>,
    tell: () => void,
  ) {
    this.sent = size;
    this.sending = new Paced(clock, RESIZE_PAUSE_MS, () => this.send());
    this.telling = new Paced(clock, RESIZE_PAUSE_MS, tell);
  }

  get current(): TerminalSize {
    return this.size;
  }

  /** From now on; `apply` gives it to the PTY. */
  set(size: TerminalSize): void {
    this.size = size;
  }

  apply(): void {
    if (!same(this.size, this.sent)) this.sending.run();
  }

  /** Sets, applies and tells, unless it is so already. */
  change(size: TerminalSize): void {
    if (same(size, this.size)) return;
    this.size = size;
    this.sending.run();
    this.telling.run();
  }

  tell(): void {
    this.telling.run();
  }

  private async send(): Promise<void> {
    if (same(this.size, this.sent)) return;
    this.sent = this.size;
    await this.resize(this.size);
  }
}

function same(one: TerminalSize, other: TerminalSize): boolean {
  return one.cols === other.cols && one.rows === other.rows;
}
