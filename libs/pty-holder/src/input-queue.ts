import { type InputMark, RuntimeError } from '@devpocket/runtime';
import { INPUT_MOST, inputFrame, PIECE } from './frames';

interface Write {
  readonly begins: number;
  readonly bytes: Buffer;
  readonly mark: InputMark | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Input on its way to a holder, kept until the PTY took it: after a broken connection what the holder did not accept is sent again,
 * and nothing else. Positions are the holder's count of input bytes.
 */
export class InputQueue {
  private writes: Write[] = [];
  private ends: number;
  private sent: number;

  constructor(
    accepted: number,
    private taken: number,
  ) {
    this.ends = this.sent = accepted;
  }

  /** Resolves when the PTY took the last byte. */
  add(bytes: Buffer, mark: InputMark | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.writes.push({ begins: this.ends, bytes, mark, resolve, reject });
      this.ends += bytes.length;
      this.settle();
    });
  }

  /** What may be sent now; it counts as sent. */
  *due(): Generator<Buffer> {
    for (const { begins, bytes, mark } of this.writes) {
      const ends = begins + bytes.length;
      // The holder counts by bytes: what counts less than its bytes is counted with its last.
      const counted = mark ? Math.max(begins, ends - (mark.span ?? bytes.length)) : ends;
      while (this.sent < ends) {
        const room = this.taken + INPUT_MOST - this.sent;
        if (room <= 0) return;
        const at = this.sent - begins;
        const marked = mark && this.sent >= counted ? mark : null;
        const piece = bytes.subarray(at, Math.min(at + PIECE, at + room, (marked ? ends : counted) - begins));
        this.sent += piece.length;
        yield inputFrame(begins + at, piece, marked?.clientId ?? '', marked ? marked.seq - (ends - this.sent) : 0);
      }
    }
  }

  took(position: number): void {
    this.taken = Math.min(Math.max(this.taken, position), this.sent);
    this.settle();
  }

  /** Goes on over another connection. @returns false when the holder has not what it had, or what did not come from here */
  resume(accepted: number, taken: number): boolean {
    if (accepted < this.taken || accepted > this.sent) return false;
    this.sent = accepted;
    this.took(taken);
    return true;
  }

  /** The shell has ended. */
  fail(): void {
    for (const { reject } of this.writes.splice(0)) reject(new RuntimeError('gone', 'The shell has ended'));
  }

  private settle(): void {
    for (let [next] = this.writes; next && next.begins + next.bytes.length <= this.taken; [next] = this.writes) {
      this.writes.shift();
      next.resolve();
    }
  }
}
