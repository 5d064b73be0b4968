import { type Clock } from '@devpocket/kernel';
import { type RawData, type WebSocket } from 'ws';

/** Work that frames have begun and that is not done: bytes, and a share for every frame whatever its size. */
const MOST_WAITING_BYTES = 1_048_576;
const FRAME_COST = 256;
/** Answers that the client has not read: above it nothing more is read from it either. More than a window of escaped output. */
const MOST_UNREAD_BYTES = 4 * 1_048_576;
/** Frames a second in the long run: typing and acks are far below, a flood is read only this fast. */
const FRAMES_A_SECOND = 5_000;
const BURST = 10_000;
const LOOK_MS = 20;

/**
 * Reads a socket's frames in order, and no faster than they are worked off and their answers are read: the rest waits at the
 * client (TCP), not here.
 */
export class FrameIntake {
  private waiting = 0;
  private alone = 0;
  private credit = BURST;
  private creditAt: number;
  private looking = false;

  constructor(
    private readonly socket: WebSocket,
    private readonly clock: Clock,
  ) {
    this.creditAt = clock.millis();
    // A ping is answered by the library.
    socket.on('ping', () => this.spend());
  }

  /** @param failed what `take` throws, which otherwise would end the process */
  begin(take: (data: RawData, isBinary: boolean) => void, failed: (error: unknown) => void): void {
    this.socket.on('message', (data: RawData, isBinary: boolean) => {
      if (this.socket.readyState !== this.socket.OPEN) return;
      this.spend();
      try {
        take(data, isBinary);
      } catch (error) {
        failed(error);
      }
    });
    this.socket.resume();
  }

  /** So much is waiting that nothing is read, whatever it says. */
  get backlogged(): boolean {
    return this.waiting > MOST_WAITING_BYTES;
  }

  /** Counts work as waiting until it is done. @param bytes of a frame; `all`: nothing else is read meanwhile */
  during(bytes: number | 'all', work: Promise<unknown>): void {
    const [cost, alone] = bytes === 'all' ? [0, 1] : [bytes + FRAME_COST, 0];
    const count = (sign: 1 | -1): void => {
      this.waiting += sign * cost;
      this.alone += sign * alone;
      this.review();
    };
    count(1);
    const done = (): void => count(-1);
    work.then(done, done);
  }

  private spend(): void {
    this.credit -= 1;
    this.review();
  }

  private review(): void {
    const { socket } = this;
    const now = this.clock.millis();
    this.credit = Math.min(BURST, this.credit + ((now - this.creditAt) / 1000) * FRAMES_A_SECOND);
    this.creditAt = now;
    const free = !this.backlogged && this.alone === 0 && socket.bufferedAmount <= MOST_UNREAD_BYTES && this.credit > 0;
    if (free && socket.isPaused) socket.resume();
    if (free) return;
    if (!socket.isPaused) socket.pause();
    void this.lookAgain();
  }

  /** Nobody tells when a client reads on. */
  private async lookAgain(): Promise<void> {
    if (this.looking || this.socket.readyState !== this.socket.OPEN) return;
    this.looking = true;
    await this.clock.wait(LOOK_MS);
    this.looking = false;
    this.review();
  }
}

export function bufferOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
