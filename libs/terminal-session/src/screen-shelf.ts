import { type ScreenFormat, type ScreenImage, type ScreenSize, type ScreenStep } from './screen.messages';
import { TerminalScreen } from './terminal-screen';

/** Emulators at a time, and their cells (12 bytes each, twice with an alternate screen). */
const MOST_LIVE = 32;
const MOST_CELLS = 2_000_000;
/** An emulator that nobody asked for so long becomes a painting. */
const IDLE_MS = 60_000;
/** Aborts a sequence that the output was in the middle of (CAN). */
const CANCEL = '\x18';

interface Shelved extends ScreenSize {
  /** Output that makes a fresh emulator what this one was. */
  readonly output: Buffer;
}

interface Live {
  readonly screen: TerminalScreen;
  usedAt: number;
}

/**
 * Screens by key. Those in use are emulators; the others lie as what would paint them, which takes a few kilobytes, and become
 * emulators again when they are needed.
 */
export class ScreenShelf {
  private readonly live = new Map<string, Live>(); // the one used last comes last
  private readonly shelved = new Map<string, Shelved>();

  constructor(private readonly now: () => number) {}

  get counts(): { readonly live: number; readonly shelved: number } {
    return { live: this.live.size, shelved: this.shelved.size };
  }

  async follow(key: string, size: ScreenSize, steps: readonly ScreenStep[]): Promise<void> {
    const screen = await this.take(key, size);
    for (const step of steps) {
      if (step.kind === 'output') await screen.feed(step.bytes);
      else if (step.kind === 'size') screen.resize(step.cols, step.rows);
      else await screen.feed(Buffer.from(CANCEL + step.modes));
    }
  }

  /** @throws Error when nothing is known by that key */
  async paint(key: string, format: ScreenFormat): Promise<ScreenImage> {
    if (!this.live.has(key) && !this.shelved.has(key)) throw new Error('There is no such screen');
    const screen = await this.take(key, { cols: 0, rows: 0 });
    const { data, uncovered } = screen.paint();
    return { ...screen.size, data: format === 'text' ? screen.text() : data, uncovered };
  }

  forget(key: string): void {
    this.live.get(key)?.screen.dispose();
    this.live.delete(key);
    this.shelved.delete(key);
  }

  /** Shelves what nobody has asked for lately. */
  tidy(): void {
    for (const [key, { usedAt }] of this.live) if (this.now() - usedAt >= IDLE_MS) this.shelve(key);
  }

  private async take(key: string, size: ScreenSize): Promise<TerminalScreen> {
    const known = this.live.get(key);
    if (known) {
      known.usedAt = this.now();
      this.live.delete(key);
      this.live.set(key, known);
      return known.screen;
    }
    const shelved = this.shelved.get(key);
    const { cols, rows } = shelved ?? size;
    const screen = new TerminalScreen(cols, rows);
    this.live.set(key, { screen, usedAt: this.now() });
    this.shelved.delete(key);
    this.makeRoom();
    if (shelved) await screen.feed(shelved.output);
    return screen;
  }

  private makeRoom(): void {
    let cells = 0;
    for (const { screen } of this.live.values()) cells += screen.cells;
    for (const [key, { screen }] of this.live) {
      if ((this.live.size <= MOST_LIVE && cells <= MOST_CELLS) || this.live.size === 1) return;
      cells -= screen.cells;
      this.shelve(key);
    }
  }

  private shelve(key: string): void {
    const entry = this.live.get(key);
    if (!entry) return;
    this.live.delete(key);
    this.shelved.set(key, { ...entry.screen.size, output: entry.screen.freeze() });
    entry.screen.dispose();
  }
}
