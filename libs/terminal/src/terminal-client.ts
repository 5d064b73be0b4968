import { type Clock, type RingBuffer } from '@devpocket/kernel';
import { incompleteTail, orphanedHead } from './utf8';

/** Output that is gathered before it is sent, unless nothing was sent for that long: then it goes at once. */
const COALESCE_MS = 8;
const MOST_FRAME_BYTES = 65_536;
/** With `ack=1` at most so much goes unacknowledged. */
const ACK_WINDOW_BYTES = 262_144;
/** Bytes that the socket may hold before this cursor waits for it. */
const SOCKET_WINDOW_BYTES = 262_144;
/** How long the rest of a character is waited for. */
const CHARACTER_MS = 200;
/** A client that takes nothing for so long has stalled: a controller stops counting while others are attached. */
export const STALL_MS = 5_000;

/** Where a client's messages go. */
export interface Outlet {
  /** @param sent called when the message has left this process */
  send(message: Readonly<Record<string, unknown>>, sent?: () => void): void;
  close(code: number, reason: string): void;
  /** True while so much of its input waits for the shell that nothing is read from it: its acks stand behind. */
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
  private inSocket = 0;
  private lastSent = -Infinity;
  private scheduled = false;
  private holding = false;
  private closed = false;
  private last: Farewell | null = null;
  /** When it last took something, or had all. */
  movedAt: number;

  constructor(
    readonly clientId: string,
    readonly view: boolean,
    private readonly acks: boolean,
    private readonly ring: RingBuffer,
    private readonly outlet: Outlet,
    private readonly clock: Clock,
    /** Told when the cursor has moved. */
    private readonly onMoved: () => void,
    from: number,
  ) {
    this.position = from;
    this.acked = from;
    this.movedAt = clock.millis();
  }

  /** Up to here the client is known to have the output: as it says itself, else as far as it left this process. */
  get confirmed(): number {
    return this.heedsAcks ? this.acked : this.position;
  }

  /** Waiting for an ack that waits for input that waits for the output to be taken would have no end. */
  private get heedsAcks(): boolean {
    return this.acks && !this.outlet.isDeaf();
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

  ack(seq: number): void {
    const to = Math.min(this.position, seq);
    if (to <= this.acked) return;
    this.acked = to;
    this.movedAt = this.clock.millis();
    this.flush();
    this.onMoved();
  }

  /** There is new output: an echo goes at once, a flood in large frames. */
  wake(): void {
    if (this.closed || this.scheduled) return;
    const now = this.clock.millis();
    if (now - this.lastSent >= COALESCE_MS || this.ring.end - this.position >= MOST_FRAME_BYTES) {
      this.flush();
      return;
    }
    this.scheduled = true;
    void this.clock.wait(COALESCE_MS - (now - this.lastSent)).then(() => {
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
    while (!this.closed && this.position < this.ring.end && (all || !this.isFull())) {
      if (this.position < this.ring.start) this.skip();
      const room =
        this.heedsAcks && !all ? Math.min(MOST_FRAME_BYTES, this.acked + ACK_WINDOW_BYTES - this.position) : MOST_FRAME_BYTES;
      const bytes = this.ring.slice(this.position, room);
      const tail = this.last && this.position + bytes.length === this.ring.end ? 0 : incompleteTail(bytes);
      if (tail === bytes.length) {
        this.hold();
        break;
      }
      this.emit(tail > 0 ? bytes.subarray(0, bytes.length - tail) : bytes);
    }
    if (this.confirmed >= this.ring.end) this.movedAt = this.clock.millis();
    if (!this.last || this.position < this.ring.end) return;
    this.send(this.last.message);
    this.close(this.last.code, this.last.reason);
  }

  private async hurry(): Promise<void> {
    while (!this.closed) {
      const left = this.movedAt + STALL_MS - this.clock.millis();
      if (left <= 0) this.flush(true);
      else await this.clock.wait(left);
    }
  }

  private emit(bytes: Buffer): void {
    this.position += bytes.length;
    this.inSocket += bytes.length;
    this.lastSent = this.clock.millis();
    this.outlet.send({ type: 'output', data: bytes.toString('utf8'), seq: this.position }, () => {
      const full = this.isFull();
      this.inSocket -= bytes.length;
      if (!this.acks) this.movedAt = this.clock.millis();
      if (full) this.flush();
      this.onMoved();
    });
  }

  /** It fell behind what is kept. */
  private skip(): void {
    const to = this.ring.start + orphanedHead(this.ring.slice(this.ring.start, 3));
    this.outlet.send({ type: 'gap', bytes: to - this.position, seq: to });
    this.position = to;
    this.acked = Math.max(this.acked, to);
  }

  /** An incomplete character waits for its rest, but not for ever. */
  private hold(): void {
    if (this.holding) return;
    this.holding = true;
    const at = this.position;
    void this.clock.wait(CHARACTER_MS).then(() => {
      this.holding = false;
      if (this.closed) return;
      if (this.position !== at) {
        this.flush(); // that character is complete; another may be waiting by now
        return;
      }
      const bytes = this.ring.slice(at, 4);
      if (incompleteTail(bytes) === bytes.length && bytes.length > 0) this.emit(bytes);
      else this.flush();
    });
  }

  private isFull(): boolean {
    return this.inSocket >= SOCKET_WINDOW_BYTES || (this.heedsAcks && this.position - this.acked >= ACK_WINDOW_BYTES);
  }
}
