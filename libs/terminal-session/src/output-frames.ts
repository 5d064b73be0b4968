import { BufferPool, PIECE_BYTES } from '@devpocket/kernel';

/** A piece of output with its heads, and room for what JSON adds to most. */
const FRAME_BYTES = 2 * PIECE_BYTES;
/** Smaller ones come from Node's own pool. */
const SMALL_BYTES = 4_096;
/** RFC 6455 §5.2: the last frame of a message, its kind, and how its length is told. */
const FINAL = 0x80;
const OPCODE = { text: 1, binary: 2, ping: 9 } as const;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const POSITION_BYTES = 6;

const pool = new BufferPool(FRAME_BYTES, 16);

export interface FrameBuffer {
  readonly bytes: Buffer;
  /** When nothing reads it any more; for a frame that was not sent whole it need not be called. */
  readonly done: () => void;
}

const nothing = (): void => undefined;

function frameBuffer(length: number): FrameBuffer {
  if (length <= SMALL_BYTES || length > FRAME_BYTES) return { bytes: Buffer.allocUnsafe(length), done: nothing };
  const buffer = pool.take();
  return { bytes: buffer.subarray(0, length), done: () => pool.give(buffer) };
}

/** Bytes, or text whose characters are bytes (Latin-1). */
type Part = Buffer | string;

const sizeOf = (parts: readonly Part[]): number => parts.reduce((sum, part) => sum + part.length, 0);

/** @returns where they end */
function put(parts: readonly Part[], bytes: Buffer, start: number): number {
  return parts.reduce(
    (at, part) => at + (typeof part === 'string' ? bytes.write(part, at, 'latin1') : part.copy(bytes, at)),
    start,
  );
}

/** A message from its parts, which may be overwritten afterwards. */
export function joined(parts: readonly Part[]): FrameBuffer {
  const frame = frameBuffer(sizeOf(parts));
  put(parts, frame.bytes, 0);
  return frame;
}

/**
 * A message as it goes over the wire, not compressed; with a ping behind it, if one is asked for, it is still one write.
 * @param probe the position that the ping bears
 */
export function wireFrame(binary: boolean, parts: readonly Part[], probe: number | null): FrameBuffer {
  const length = sizeOf(parts);
  const head = length < LENGTH_16 ? 2 : length < 65_536 ? 4 : 10;
  const frame = frameBuffer(head + length + (probe === null ? 0 : 2 + POSITION_BYTES));
  const { bytes } = frame;
  bytes[0] = FINAL | (binary ? OPCODE.binary : OPCODE.text);
  bytes[1] = head === 2 ? length : head === 4 ? LENGTH_16 : LENGTH_64;
  if (head === 4) bytes.writeUInt16BE(length, 2);
  if (head === 10) bytes.writeBigUInt64BE(BigInt(length), 2);
  const at = put(parts, bytes, head);
  if (probe !== null) {
    bytes[at] = FINAL | OPCODE.ping;
    bytes[at + 1] = POSITION_BYTES;
    bytes.writeUIntBE(probe, at + 2, POSITION_BYTES);
  }
  return frame;
}

/** What a ping bears: the position behind which it was sent. */
export function probePayload(seq: number): Buffer {
  const payload = Buffer.allocUnsafe(POSITION_BYTES);
  payload.writeUIntBE(seq, 0, POSITION_BYTES);
  return payload;
}

/** @returns null for a ping that was not ours */
export function probedPosition(payload: Buffer): number | null {
  return payload.length === POSITION_BYTES ? payload.readUIntBE(0, POSITION_BYTES) : null;
}
