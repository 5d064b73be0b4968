import { Terminal } from '@xterm/headless';
import { CHARACTER_WIDTHS } from './character-width';
import { GROUND, stateOf } from './emulator-state';
import { type ScreenSize } from './screen.messages';
import { paintScreen } from './screen-painter';
import { UnkeptModes } from './unkept-modes';
import { incompleteTail } from './utf8';

/** Lines above the screen, which come back when it grows; clients' terminals do that too. */
const SCROLLBACK_LINES = 200;
/** Of a sequence that is not complete yet, such as a picture, so much is kept. */
const MOST_PENDING_BYTES = 65_536;
/** Begins a string that every terminal skips up to its end: in place of one that is not kept (APC). */
const SKIPPED_STRING = '\x1b_';
const ESC = 0x1b;
/** What the emulator can be: a row of one cell cannot hold a wide character. */
const LEAST_COLS = 2;

export interface Painted {
  /** Escape sequences that paint the screen, with a sequence that has only begun at their end. */
  readonly data: string;
  /** Bytes at the end of what was fed that `data` does not cover: of a character that is not complete. */
  readonly uncovered: number;
}

/** A terminal as a program's output leaves it. */
export class TerminalScreen {
  private readonly terminal: Terminal;
  private readonly unkept: UnkeptModes;
  /** Of the sequence the output is in the middle of; null when it is too long. */
  private pending: Buffer | null = Buffer.alloc(0);
  /** The last bytes, for a character that is not complete. */
  private last = Buffer.alloc(0);

  constructor(cols: number, rows: number) {
    this.terminal = new Terminal({
      cols: Math.max(LEAST_COLS, cols),
      rows,
      scrollback: SCROLLBACK_LINES,
      allowProposedApi: true,
      logLevel: 'off',
    });
    this.terminal.unicode.register(CHARACTER_WIDTHS);
    this.terminal.unicode.activeVersion = CHARACTER_WIDTHS.version;
    this.unkept = new UnkeptModes(this.terminal);
  }

  get size(): ScreenSize {
    return { cols: this.terminal.cols, rows: this.terminal.rows };
  }

  get cells(): number {
    return this.terminal.cols * (this.terminal.rows + SCROLLBACK_LINES);
  }

  async feed(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    await new Promise<void>((resolve) => this.terminal.write(bytes, resolve));
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.last = Buffer.concat([this.last, chunk.subarray(-3)]).subarray(-3);
    this.remember(chunk);
  }

  resize(cols: number, rows: number): void {
    this.terminal.resize(Math.max(LEAST_COLS, cols), rows);
  }

  paint(): Painted {
    const uncovered = incompleteTail(this.last);
    const begun =
      this.pending === null
        ? SKIPPED_STRING
        : this.pending.subarray(0, this.pending.length - (this.pending.length > 0 ? uncovered : 0)).toString('utf8');
    return { data: paintScreen(this.terminal, this.unkept.toString()) + begun, uncovered };
  }

  /** Output that makes a fresh one of the same size what this one is. */
  freeze(): Buffer {
    const { data, uncovered } = this.paint();
    return Buffer.concat([Buffer.from(data), this.last.subarray(this.last.length - uncovered)]);
  }

  /** Rows from top to bottom, without the spaces at their ends. */
  text(): string {
    const { active } = this.terminal.buffer;
    const rows = Array.from({ length: this.terminal.rows }, (_, row) => active.getLine(active.baseY + row));
    return rows.map((line) => line?.translateToString(true).trimEnd() ?? '').join('\n');
  }

  dispose(): void {
    this.unkept.dispose();
    this.terminal.dispose();
  }

  private remember(chunk: Buffer): void {
    if (stateOf(this.terminal)._inputHandler._parser.currentState === GROUND) {
      this.pending = Buffer.alloc(0);
      return;
    }
    // Every sequence begins with ESC, and ESC ends whatever it comes in.
    const begins = chunk.lastIndexOf(ESC);
    const pending = begins >= 0 ? chunk.subarray(begins) : this.pending && Buffer.concat([this.pending, chunk]);
    this.pending = pending && pending.length <= MOST_PENDING_BYTES ? Buffer.from(pending) : null;
  }
}
