import { type Clock, type RingBuffer } from '@devpocket/kernel';
import { OutputModes } from './output-modes';
import { type ScreenFormat, type ScreenKeeper, type ScreenSize, type ScreenStep } from './screen.messages';
import { orphanedHead } from './utf8';

/** Output that is about to be lost is emulated when half a buffer of it took so long; a flood is only looked through for modes. */
const CALM_MS = 5_000;
/** Behind output that is not known it goes on at the next line or sequence, if one comes so soon. */
const SEARCH_BYTES = 4_096;
/** That are remembered until the output between them is emulated. */
const MOST_SIZES = 256;
const ESC = 0x1b;
const LINE_FEED = 0x0a;
/** A quarter of the usual buffer. */
const SCRATCH_BYTES = 262_144;
/** Of one look at a time: a fresh one for each would, in a flood, have the collector go through the whole heap every second. */
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

export interface ScreenAt {
  readonly seq: number;
  readonly cols: number;
  readonly rows: number;
  readonly data: string;
}

/**
 * A session's screen, of which nothing is made until somebody asks: then what is kept of the output is emulated, and from then on what
 * came since. Nothing is lost when output leaves the buffer: while it comes slowly, as a full-screen program's does, it is emulated
 * first, which takes some 50 ms a megabyte of a thread that no terminal waits for; of a flood only the modes are noted.
 */
export class SessionScreen {
  /** The keeper has everything up to here, but what a jump left out. */
  private covered: number;
  /** As they are at `covered`. */
  private modes = new OutputModes();
  /** As they were at a position that somebody asked for. */
  private asked: { readonly modes: OutputModes; at: number } | null = null;
  /** Output before `covered` is not known to the keeper. */
  private jumped: boolean;
  /** New sizes, by the position at which the PTY got them. */
  private sizes: (ScreenSize & { readonly at: number })[] = [];
  /** Once the buffer begins later than this there is something to do. */
  private watch: number;
  private markedAt: number | null = null;
  private generation: number;

  constructor(
    private readonly key: string,
    private readonly ring: RingBuffer,
    private size: ScreenSize,
    private readonly keeper: ScreenKeeper,
    private readonly clock: Clock,
  ) {
    this.covered = ring.start;
    this.jumped = ring.start > 0;
    this.watch = this.covered - ring.capacity / 2;
    this.generation = keeper.generation;
  }

  /** To be called before so many bytes are appended. Almost always it only compares. */
  makeRoom(bytes: number): void {
    const start = this.ring.end + bytes - this.ring.capacity;
    if (start > this.watch) this.giveWay(start);
  }

  /** The PTY has a new size. */
  resized({ cols, rows }: ScreenSize): void {
    this.sizes.push({ at: this.ring.end, cols, rows });
    if (this.sizes.length > MOST_SIZES) this.sizes.shift();
  }

  /** The modes behind all output so far. */
  current(): OutputModes {
    this.review();
    if (!this.asked || this.asked.at < this.covered) this.asked = { modes: new OutputModes(this.modes), at: this.covered };
    const { asked, ring } = this;
    asked.at += asked.modes.scan(ring.slice(asked.at, ring.end - asked.at));
    return asked.modes;
  }

  /** The screen as it stands behind all output so far. @throws Error when it cannot be had */
  async paint(format: ScreenFormat): Promise<ScreenAt> {
    this.review();
    const { end } = this.ring;
    this.follow(end);
    const { uncovered, ...image } = await this.keeper.paint(this.key, format);
    return { ...image, seq: end - uncovered };
  }

  forget(): void {
    this.keeper.forget(this.key);
  }

  private giveWay(start: number): void {
    const now = this.clock.millis();
    const { ring } = this;
    if (this.markedAt === null) {
      this.markedAt = now;
      this.watch = this.covered;
    }
    if (start <= this.covered) return;
    this.review();
    if (now - this.markedAt >= CALM_MS && !this.keeper.busy) {
      this.follow(ring.end);
      this.markedAt = null;
      this.watch = this.covered - ring.capacity / 2;
      return;
    }
    this.jump(Math.min(ring.end, Math.max(start, this.covered + ring.capacity / 4)));
    this.markedAt = now;
    this.watch = this.covered;
  }

  /** Output that will be lost is looked through for modes, in large blocks. */
  private jump(to: number): void {
    const parts = this.ring.parts(this.covered, to - this.covered);
    const [first] = parts;
    this.covered += this.modes.skim(parts.length === 1 && first ? first : joined(parts));
    this.jumped = true;
  }

  /** The keeper gets what it does not have, up to `to`. */
  private follow(to: number): void {
    const steps: ScreenStep[] = [];
    const { size } = this;
    let from = this.covered;
    const output = (end: number): void => {
      if (end <= from) return;
      steps.push({ kind: 'output', bytes: this.ring.slice(from, end - from) });
      from = end;
    };
    if (this.jumped) {
      steps.push({ kind: 'jump', modes: this.modes.toString() });
      from = Math.min(to, this.safe(from));
    }
    for (const { at, cols, rows } of this.sizes) {
      output(at);
      steps.push({ kind: 'size', cols, rows });
      this.size = { cols, rows };
    }
    output(to);
    this.modes.scan(this.ring.slice(this.covered, to - this.covered));
    this.covered = to;
    this.jumped = false;
    this.sizes = [];
    this.keeper.follow(this.key, size, steps);
  }

  /** What the keeper has lost, or could not be told in time, is missing: it goes on with what is kept. */
  private review(): void {
    const { start } = this.ring;
    if (this.generation !== this.keeper.generation) {
      this.generation = this.keeper.generation;
      this.covered = start;
      this.jumped = start > 0;
    }
    if (this.covered >= start) return;
    this.covered = start;
    this.jumped = true;
  }

  /** Not in the middle of a character, a line of text or a sequence, as far as that can be seen. */
  private safe(from: number): number {
    const bytes = this.ring.slice(from, SEARCH_BYTES);
    const found = bytes.findIndex((byte) => byte === ESC || byte === LINE_FEED);
    return from + (found >= 0 ? found : orphanedHead(bytes));
  }
}

/** @returns what is good until the next call */
function joined(parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > SCRATCH_BYTES) return Buffer.concat(parts);
  parts.reduce((at, part) => at + part.copy(scratch, at), 0);
  return scratch.subarray(0, length);
}
