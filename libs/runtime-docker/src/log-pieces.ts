import { MOST_LINE_BYTES } from '@devpocket/container-runtime';
import { type OutputChannel, type OutputFrame } from './demux';

interface Line {
  /** With the time of the first piece before it. */
  readonly pieces: Buffer[];
  length: number;
}

const NEWLINE = 10;
const SPACE = 32;

/**
 * Puts lines of a container's log together. An engine keeps a line in pieces of 16 KiB, each a frame with a time of its own; only the last
 * ends with a line's end. What is longer than a line may be is not gathered.
 */
export class LogPieces {
  private readonly open = new Map<OutputChannel, Line>();

  /** Lines that are whole with this frame, each as `time text`. */
  *take({ channel, bytes }: OutputFrame): Generator<Buffer> {
    const isLast = bytes.at(-1) === NEWLINE;
    const piece = isLast ? bytes.subarray(0, -1) : bytes;
    const begun = this.open.get(channel);
    if (!begun) {
      // podman hands several lines over in one frame.
      if (isLast) yield* split(piece);
      else this.open.set(channel, { pieces: [piece], length: piece.length });
      return;
    }
    const text = piece.subarray(piece.indexOf(SPACE) + 1);
    // One byte more than a line may have, so that it is seen to be cut.
    if (begun.length <= MOST_LINE_BYTES + 64) {
      begun.pieces.push(text);
      begun.length += text.length;
    }
    if (!isLast) return;
    this.open.delete(channel);
    yield Buffer.concat(begun.pieces);
  }

  /** Lines without an end, at the end of a log. */
  *rest(): Generator<Buffer> {
    for (const { pieces } of this.open.values()) yield Buffer.concat(pieces);
    this.open.clear();
  }
}

function* split(lines: Buffer): Generator<Buffer> {
  for (let at = 0; at <= lines.length;) {
    const found = lines.indexOf(NEWLINE, at);
    const end = found < 0 ? lines.length : found;
    yield lines.subarray(at, end);
    at = end + 1;
  }
}
