const LEAST_BYTES = 4_096;
const MOST_BYTES = 262_144;
const FIRST_BYTES = 16_384;
/** How long what is under way may wait on its way: what is typed takes effect only behind it. */
const QUEUE_MS = 100;
/** So long a fastest time counts: networks change, and a queue that stands is taken for the way. */
const EPOCH_MS = 5_000;
/** Probes to a window: of a large one fewer, whose frames are to be large too. */
const PROBES = { small: 8, large: 4 };
const LARGE_BYTES = 65_536;
const LEAST_PROBE_BYTES = 512;
/** What waits here for a large window to open again, so that it is filled at once: a share of it. */
export const RESERVE = 4;

interface Probe {
  readonly seq: number;
  readonly at: number;
}

/**
 * How much output may be under way to a client. TCP alone takes megabytes, all of which come before what a Ctrl-C changes. The client
 * is probed behind its output and answers when it has read so far; from how long that takes, against the fastest, the window follows
 * what the way and the client carry: at most 256 KiB, and about 100 ms of waiting (as FAST TCP does, Wei et al. 2006).
 */
export class DeliveryWindow {
  private bytes: number;
  private probes: Probe[] = [];
  private probedAt: number;
  /** The window is changed once for each filling of it. */
  private changedAt: number;
  private filled = false;
  private base = Infinity;
  /** The window, and its time, before a queue was let off. */
  private before: { readonly bytes: number; readonly ms: number } | null = null;
  private epoch: { readonly from: number; base: number } | null = null;

  /** @param delivered position up to which the client has the output @param most bytes, at most 256 KiB */
  constructor(
    public delivered: number,
    private readonly most = MOST_BYTES,
  ) {
    this.most = Math.min(MOST_BYTES, most);
    this.bytes = Math.min(FIRST_BYTES, this.most);
    this.probedAt = delivered;
    this.changedAt = delivered;
  }

  get size(): number {
    return this.bytes;
  }

  /**
   * Up to here the shell may print on: what waits here comes before what a Ctrl-C changes too. On a slow way nothing needs to wait: the
   * next bytes are here long before their turn.
   */
  get limit(): number {
    const { delivered, bytes } = this;
    return delivered + bytes + (bytes >= LARGE_BYTES ? bytes / RESERVE : 0);
  }

  /** Bytes that the next frame may have behind a position; 0 while they are too few to be worth one. */
  room(position: number): number {
    const { bytes, step } = this;
    const room = this.delivered + bytes - position;
    // In a small window a frame is so small too that a probe is behind each: what comes in one piece arrives late as a whole.
    if (room >= step) return bytes < LARGE_BYTES ? step : room;
    this.filled = true;
    return 0;
  }

  /** The shell has printed up to `end` and waits to print on. Output that does not come for that is as good as output that waits. */
  heldUp(end: number): void {
    if (end >= this.limit) this.filled = true;
  }

  /** Is it time to probe behind this position? */
  isDue(position: number): boolean {
    return position - this.probedAt >= this.step;
  }

  probed(position: number, nowMs: number): void {
    this.probedAt = position;
    this.probes.push({ seq: position, at: nowMs });
  }

  /**
   * Output of so many bytes is left out behind what was sent, which stays under way: it was no more delivered than before. All
   * positions move up by it, and those that come later must be told as moved (`SkippedOutput`).
   */
  skipped(bytes: number): void {
    this.delivered += bytes;
    this.probedAt += bytes;
    this.changedAt += bytes;
    this.probes = this.probes.map(({ seq, at }) => ({ seq: seq + bytes, at }));
  }

  /** The client has all up to `seq`. @returns whether that is news */
  heard(seq: number, nowMs: number): boolean {
    let last: Probe | undefined;
    while (this.probes[0] && this.probes[0].seq <= seq) last = this.probes.shift();
    if (seq <= this.delivered) return false;
    this.delivered = seq;
    if (last) this.measured(last, Math.max(0, nowMs - last.at), nowMs);
    return true;
  }

  private get step(): number {
    return Math.max(LEAST_PROBE_BYTES, Math.floor(this.bytes / (this.bytes >= LARGE_BYTES ? PROBES.large : PROBES.small)));
  }

  private measured({ seq }: Probe, ms: number, nowMs: number): void {
    this.epoch ??= { from: nowMs, base: Infinity };
    this.epoch.base = Math.min(this.epoch.base, ms);
    this.base = Math.min(this.base, ms);
    if (seq < this.changedAt) return;
    if (this.before) {
      this.resize(this.before.bytes * Math.min(1, (this.base + QUEUE_MS) / this.before.ms));
      this.before = null;
    } else if (nowMs - this.epoch.from >= EPOCH_MS) {
      // A queue that stands is let off once in a while, so that the way itself can be measured again.
      const stands = ms > this.base + QUEUE_MS / 2;
      if (stands) {
        this.before = { bytes: this.bytes, ms };
        this.resize((this.bytes * this.base) / ms / 2);
      }
      this.base = this.epoch.base;
      this.epoch = { from: nowMs, base: Infinity };
    } else {
      // Nothing is known of a larger window from one that was not filled.
      this.resize(this.bytes * Math.min(this.filled ? 2 : 1, Math.max(0.5, (this.base + QUEUE_MS) / Math.max(ms, 0.001))));
    }
    this.changedAt = this.probedAt;
    this.filled = false;
  }

  private resize(bytes: number): void {
    this.bytes = Math.min(this.most, Math.max(LEAST_BYTES, Math.round(bytes)));
  }
}
