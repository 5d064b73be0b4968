/**
 * Buffers that are used again and again. What is allocated for each of many large frames is little work for itself, but the collector
 * counts its bytes: a flood makes it go through the whole heap several times a second.
 */
export class BufferPool {
  private readonly free: Buffer[] = [];

  /** @param size bytes of each @param most kept for the next use */
  constructor(
    readonly size: number,
    private readonly most: number,
  ) {}

  /** One of `size`, with anything in it. Whoever takes it may keep it, or give it back when nobody uses it any more. */
  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(this.size);
  }

  give(buffer: Buffer): void {
    if (this.free.length < this.most) this.free.push(buffer);
  }
}
