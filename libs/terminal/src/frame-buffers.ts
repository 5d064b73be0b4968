import { BufferPool, PIECE_BYTES } from '@devpocket/kernel';

/** A piece of output with its head, and room for what JSON adds to most. */
const FRAME_BYTES = 2 * PIECE_BYTES;
/** Smaller ones come from Node's own pool. */
const SMALL_BYTES = 4_096;

const pool = new BufferPool(FRAME_BYTES, 16);

export interface FrameBuffer {
  /** Of the length that was asked for. */
  readonly bytes: Buffer;
  /** When nothing reads it any more; for a frame that was not sent whole it need not be called. */
  readonly done: () => void;
}

const nothing = (): void => undefined;

/** A buffer for one frame of output. */
export function frameBuffer(length: number): FrameBuffer {
  if (length <= SMALL_BYTES || length > FRAME_BYTES) return { bytes: Buffer.allocUnsafe(length), done: nothing };
  const buffer = pool.take();
  return { bytes: buffer.subarray(0, length), done: () => pool.give(buffer) };
}
