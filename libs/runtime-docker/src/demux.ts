export type OutputChannel = 'stdout' | 'stderr';

export interface OutputFrame {
  readonly channel: OutputChannel;
  readonly bytes: Buffer;
}

const HEAD = 8;
/** Longer than any frame of an engine; more is none. */
const MOST_BYTES = 16_777_216;

/**
 * Takes apart what an engine sends of a program without a TTY (Docker Engine API, "Attach to a container", stream format): frames of a
 * head of eight bytes, of which the first is the channel and the last four the length, and the bytes.
 */
export class Demux {
  private rest: Buffer = Buffer.alloc(0);
  private due: { readonly channel: OutputChannel; left: number } | null = null;

  /** @param whole hands over whole frames only: one is one piece of a log */
  constructor(private readonly whole: boolean) {}

  /** @throws Error for what is no such stream */
  *push(chunk: Buffer): Generator<OutputFrame> {
    let data = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    for (;;) {
      if (!this.due) {
        if (data.length < HEAD) break;
        const left = data.readUInt32BE(4);
        if ((data[0] ?? 0) > 2 || left > MOST_BYTES) throw new Error('The engine sent what is no output of a program');
        this.due = { channel: data[0] === 2 ? 'stderr' : 'stdout', left };
        data = data.subarray(HEAD);
      }
      const { channel, left } = this.due;
      if (this.whole && data.length < left) break;
      const bytes = data.subarray(0, left);
      data = data.subarray(bytes.length);
      this.due.left -= bytes.length;
      if (this.due.left === 0) this.due = null;
      if (bytes.length > 0) yield { channel, bytes };
      if (data.length === 0) break;
    }
    this.rest = data;
  }
}
