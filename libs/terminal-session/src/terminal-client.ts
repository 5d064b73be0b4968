import { type Clock, Gather, PIECE_BYTES, type RingBuffer } from '@devpocket/kernel';
import { type TerminalSize } from '@devpocket/runtime';
import { DeliveryWindow, RESERVE } from './delivery-window';
import { SkippedOutput } from './skipped-output';
import { incompleteTail, orphanedHead } from './utf8';

/** With `ack=1` at most so much goes unacknowledged (contract §6). */
const ACK_WINDOW_BYTES = 262_144;
/** Bytes that the socket may hold before this cursor waits for it. */
const SOCKET_WINDOW_BYTES = 262_144;
/** How long the rest of a character is waited for. */
const CHARACTER_MS = 200;
/** How often an end waits for a painting. */
const PAINTING_MS = 50;
/** A client that takes nothing for so long has stalled: a controller stops counting while others are attached. */
export const STALL_MS = 5_000;

/** Where a client's messages go. */
export interface Outlet {
  /** Anything but output. */
  send(message: Readonly<Record<string, unknown>>): void;
  /**
   * @param parts not to be kept: they are views of the ring
   * @param seq the position behind them
   * @param probe asks the client to answer when it has read them: `heard` is told the answer
   * @param sent called when they have left this process
   */
  output(parts: readonly Buffer[], seq: number, probe: boolean, sent: () => void): void;
  /** Asks so without output. */
  probe(seq: number): void;
  close(code: number, reason: string): void;
  /** True while so much of its input waits for the shell that nothing is read from it: its answers stand behind. */
  isDeaf(): boolean;
}

interface Farewell {
  readonly message: Readonly<Record<string, unknown>>;
  readonly code: number;
  readonly reason: string;
}

/** One attached client: a cursor into the session's output. */
export class AttachedClient {
  /** Position up to which output was sent. */
  position: number;
  acked: number;
  /** Of its screen, as it said last: it counts while this client decides. Null: it said none. */
  size: TerminalSize | null = null;
  private readonly window: DeliveryWindow;
  private readonly skipped = new SkippedOutput();
  private readonly gather = new Gather();
  private inSocket = 0;
  private scheduled = false;
  private flushing = false;
  private holding = false;
  /** Paintings that are being made: output that they cover is not sent before them. */
  private paintings = 0;
  private closed = false;
  private last: Farewell | null = null;
  /** Since when output waits for it to take some. */
  private fullAt: number | null = null;

  constructor(
    readonly clientId: string,
    readonly view: boolean,
    private readonly acks: boolean,
    private readonly ring: RingBuffer,
    private readonly outlet: Outlet,
    private readonly clock: Clock,
    /** Told when it has taken something. */
    private readonly onMoved: () => void,
    from: number,
  ) {
    this.position = from;
    this.acked = from;
    // What is kept must hold more than what is under way.
    this.window = new DeliveryWindow(from, ring.capacity / 2);
  }

  /** Up to here the client is known to have the output: what comes later must be kept for its return. */
  get confirmed(): number {
    if (!this.isHeard) return this.position;
    return this.acks ? this.acked : this.window.delivered;
  }

  /** Up to here the shell may print on: as much as the client can be given at once, and some more. */
  get limit(): number {
    if (!this.isHeard) return this.position + SOCKET_WINDOW_BYTES - this.inSocket;
    const { limit, size } = this.window;
    return this.acks ? Math.min(limit, this.acked + ACK_WINDOW_BYTES + size / RESERVE) : limit;
  }

  /** The shell waits for it to take something. */
  holdsUp(): void {
    this.fullAt ??= this.clock.millis();
    this.window.heldUp(this.ring.end);
  }

  get stalled(): boolean {
    return this.fullAt !== null && this.clock.millis() - this.fullAt >= STALL_MS;
  }

  /** Waiting for an answer that waits for input that waits for the output to be taken would have no end. */
  private get isHeard(): boolean {
    return !this.outlet.isDeaf();
  }

  send(message: Readonly<Record<string, unknown>>): void {
    if (!this.closed) this.outlet.send(message);
  }

  close(code: number, reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.outlet.close(code, reason);
  }

  /** The socket is gone. */
  gone(): void {
    this.closed = true;
  }

  /** The client has rendered all up to `seq`. */
  ack(seq: number): void {
    const to = this.known(seq);
    const news = to > this.acked;
    if (news) this.acked = to;
    if (this.window.heard(to, this.clock.millis()) || news) this.moved();
  }

  /** The client has read all up to `seq`: the answer to a probe. */
  heard(seq: number): void {
    if (this.window.heard(this.known(seq), this.clock.millis())) this.moved();
  }

  /** Output waits for a painting, which covers some of it. */
  beginPainting(): void {
    this.paintings += 1;
  }

  /** What comes before `seq` is painted, what comes behind it follows. A painting stands for all that was not rendered before it. */
  goOn(seq: number): void {
    this.leaveOut(seq);
    this.acked = Math.max(this.acked, seq);
  }

  endPainting(): void {
    this.paintings -= 1;
    this.flush();
    this.onMoved();
  }

  /** There is new output: an echo goes at once, a flood in large frames. */
  wake(): void {
    if (this.closed || this.scheduled) return;
    const wait = this.gather.wait(this.ring.end - this.position, this.clock.millis());
    if (wait === 0) {
      this.flush();
      return;
    }
    this.scheduled = true;
    void this.clock.wait(wait).then(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  /** No output comes any more. What there is goes first: as the client takes it, or at once when it has stalled. */
  finish(message: Readonly<Record<string, unknown>>, code: number, reason: string): void {
    this.last = { message, code, reason };
    this.flush();
    void this.hurry();
  }

  /** Sends what there is, as far as the client takes it. @param all however much it has not taken */
  flush(all = false): void {
    if (this.paintings > 0) return;
    if (this.flushing) return; // an answer came while it is sent: the loop goes on by it
    this.flushing = true;
    while (!this.closed && this.position < this.ring.end) {
      const room = all ? PIECE_BYTES : this.room();
      if (room <= 0) break;
      // Not before there is room: one that takes nothing would be told of one gap after the other, which it would have to read first.
      if (this.position < this.ring.start) this.skip();
      const length = Math.min(room, PIECE_BYTES, this.ring.end - this.position);
      const ends = this.last !== null && this.position + length === this.ring.end;
      const tail = ends ? 0 : incompleteTail(this.ring.slice(this.position + Math.max(0, length - 3), Math.min(3, length)));
      if (tail === length) {
        this.hold();
        break;
      }
      this.emit(length - tail);
    }
    this.flushing = false;
    // A window that became small has a smaller step: what was sent in the large one may want a probe now, and nothing else is under way.
    if (!this.closed && this.isProbeDue()) this.outlet.probe(this.position);
    if (!this.last || this.closed || this.position < this.ring.end) return;
    this.send(this.last.message);
    this.close(this.last.code, this.last.reason);
  }

  private moved(): void {
    this.fullAt = null;
    this.flush();
    this.onMoved();
  }

  private async hurry(): Promise<void> {
    while (!this.closed) {
      const now = this.clock.millis();
      const left = (this.fullAt ?? now) + STALL_MS - now;
      if (left <= 0 && this.paintings === 0) this.flush(true);
      else await this.clock.wait(Math.max(left, PAINTING_MS));
    }
  }

  private emit(length: number): void {
    const parts = this.ring.parts(this.position, length);
    const now = this.clock.millis();
    this.position += length;
    this.inSocket += length;
    this.gather.sent(length, now);
    this.outlet.output(parts, this.position, this.isProbeDue(), () => {
      const full = this.inSocket >= SOCKET_WINDOW_BYTES;
      this.inSocket -= length;
      if (full) this.moved();
    });
  }

  private isProbeDue(): boolean {
    if (!this.window.isDue(this.position)) return false;
    this.window.probed(this.position, this.clock.millis());
    return true;
  }

  /** It fell behind what is kept. */
  private skip(): void {
    const to = this.ring.start + orphanedHead(this.ring.slice(this.ring.start, 3));
    this.outlet.send({ type: 'gap', bytes: to - this.position, seq: to });
    this.leaveOut(to);
  }

  /** Output goes on at `to`. What is under way still is: neither taken nor acknowledged. */
  private leaveOut(to: number): void {
    const bytes = to - this.position;
    if (bytes > 0) {
      const { window, acked, acks } = this;
      this.skipped.add(this.position, to, acks ? Math.min(acked, window.delivered) : window.delivered);
      window.skipped(bytes);
      this.acked += bytes;
    }
    this.position = to;
  }

  /** What a client says that it has, in the window's count; it cannot have more than it was sent. */
  private known(seq: number): number {
    return this.skipped.moved(Math.min(this.position, seq));
  }

  /** An incomplete character waits for its rest, but not for ever. */
  private hold(): void {
    if (this.holding) return;
    this.holding = true;
    const at = this.position;
    void this.clock.wait(CHARACTER_MS).then(() => {
      this.holding = false;
      if (this.closed) return;
      if (this.position !== at || at < this.ring.start) {
        this.flush(); // that character is complete, or lost; another may be waiting by now
        return;
      }
      const bytes = this.ring.slice(at, 4);
      if (incompleteTail(bytes) === bytes.length && bytes.length > 0) this.emit(bytes.length);
      else this.flush();
    });
  }

  /** Bytes that it takes now. */
  private room(): number {
    let room = SOCKET_WINDOW_BYTES - this.inSocket;
    if (this.isHeard) {
      room = Math.min(room, this.window.room(this.position));
      if (this.acks) room = Math.min(room, this.acked + ACK_WINDOW_BYTES - this.position);
    }
    if (room <= 0) this.fullAt ??= this.clock.millis();
    return room;
  }
}
