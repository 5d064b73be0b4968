import { countAfter, type InputMark } from '@devpocket/runtime';

interface PendingWrite {
  readonly bytes: Buffer;
  readonly mark: InputMark | undefined;
  at: number;
  readonly done: (taken: boolean) => void;
}

/** A program that reads is waited for so long by asking again at once, and so long every millisecond … */
const EAGER_MS = 2;
const BREATH_MS = 0.05;
const PATIENT_MS = 60;
/** … and one that does not with pauses that grow from one to the other. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
const MOST_CLIENT_IDS = 256;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * What is typed, on its way into a PTY: in order, whole, and never waiting with a thread of this process. The kernel does not tell
 * reliably when a full PTY takes more, so it is asked again: at once for a moment, then ever more rarely.
 */
export class InputWriter {
  /** Up to where the PTY took each client's numbered input. */
  readonly marks = new Map<string, number>();
  private queue: PendingWrite[] = [];
  private retrying = false;
  private movedAt = 0;
  private pause = FIRST_PAUSE_MS;
  private ended = false;

  /** @param put @see Pty.write */
  constructor(private readonly put: (bytes: Buffer) => number | null) {}

  /**
   * With a mark, what was taken before is dropped, and the mark moves with the bytes.
   * @param done told once: that the PTY took the last byte, perhaps before this returns, or that the shell has ended
   */
  write(bytes: Buffer, mark: InputMark | undefined, done: (taken: boolean) => void): void {
    if (this.ended) {
      done(false);
      return;
    }
    this.queue.push({ bytes, mark, at: -1, done });
    if (!this.retrying) this.drain();
  }

  end(): void {
    this.ended = true;
    for (const { done } of this.queue.splice(0)) done(false);
  }

  private drain(): void {
    this.retrying = false;
    for (let [next] = this.queue; next; [next] = this.queue) {
      if (next.at < 0) next.at = this.begin(next);
      while (next.at < next.bytes.length) {
        const written = this.put(next.bytes.subarray(next.at));
        if (written === null) return this.end();
        if (written === 0) return this.retry();
        this.moved(next, written);
      }
      if (next.mark) this.touch(next.mark.clientId);
      this.queue.shift();
      next.done(true);
    }
  }

  /** Where what was not taken before begins. */
  private begin({ bytes, mark }: PendingWrite): number {
    if (!mark) return 0;
    const taken = this.marks.get(mark.clientId) ?? 0;
    if (taken >= mark.seq) return bytes.length;
    return mark.span === undefined ? Math.max(0, bytes.length - (mark.seq - taken)) : 0;
  }

  private moved(write: PendingWrite, written: number): void {
    write.at += written;
    this.movedAt = performance.now();
    this.pause = FIRST_PAUSE_MS;
    const { mark, at, bytes } = write;
    if (!mark) return;
    const count = countAfter(mark, at, bytes.length);
    if (count > (this.marks.get(mark.clientId) ?? -1)) this.marks.set(mark.clientId, count);
  }

  /** Of too many clients the one whose input is longest ago is forgotten, as the server does too. */
  private touch(clientId: string): void {
    const taken = this.marks.get(clientId) ?? 0;
    this.marks.delete(clientId);
    this.marks.set(clientId, taken);
    const [oldest] = this.marks.keys();
    if (this.marks.size > MOST_CLIENT_IDS && oldest !== undefined) this.marks.delete(oldest);
  }

  private retry(): void {
    this.retrying = true;
    const since = performance.now() - this.movedAt;
    if (since < EAGER_MS) {
      // Not asked without a breath: the program that is to read may have no other processor.
      Atomics.wait(nothing, 0, 0, BREATH_MS);
      setImmediate(() => this.drain());
      return;
    }
    setTimeout(() => this.drain(), this.pause);
    if (since >= PATIENT_MS) this.pause = Math.min(LONGEST_PAUSE_MS, 2 * this.pause);
  }
}
