/** Most shells print no more than a prompt. */
const FIRST_BYTES = 1_024;

/** The last bytes of a stream, addressed by their position in it. Costs at most twice what it keeps, however it came. */
export class RingBuffer {
  /** The byte at a position stands at that position modulo the length. Grows up to the capacity. */
  private bytes = Buffer.alloc(0);
  private first: number;
  private last: number;

  /** @param capacity bytes kept @param start position of the first byte to come */
  constructor(
    readonly capacity: number,
    start = 0,
  ) {
    this.first = start;
    this.last = start;
  }

  /** Position of the oldest byte that is kept. */
  get start(): number {
    return this.first;
  }

  /** Position behind the newest byte. */
  get end(): number {
    return this.last;
  }

  append(chunk: Buffer): void {
    const end = this.last + chunk.length;
    const news = chunk.subarray(Math.max(0, chunk.length - this.capacity));
    this.first = Math.max(this.first, end - this.capacity);
    if (end - this.first > this.bytes.length) this.grow(end - this.first);
    this.put(end - news.length, news);
    this.last = end;
  }

  /** A copy of the bytes from `from` on, at most `most`. `from` must be kept. */
  slice(from: number, most: number): Buffer {
    return Buffer.concat(this.parts(from, most));
  }

  /**
   * The bytes from `from` on, at most `most`, as they lie here: in one part or two. They stay what they are until the ring has gone
   * on by its capacity behind them.
   */
  parts(from: number, most: number): readonly Buffer[] {
    const length = Math.max(0, Math.min(this.last - from, most));
    if (length === 0) return [];
    const at = from % this.bytes.length;
    const first = this.bytes.subarray(at, at + length);
    return first.length === length ? [first] : [first, this.bytes.subarray(0, length - first.length)];
  }

  private grow(size: number): void {
    const length = Math.min(this.capacity, Math.max(FIRST_BYTES, 2 * this.bytes.length, size));
    const kept = this.slice(this.first, this.capacity);
    this.bytes = Buffer.allocUnsafeSlow(length);
    this.put(this.first, kept);
  }

  private put(position: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    const at = position % this.bytes.length;
    const copied = bytes.copy(this.bytes, at);
    bytes.copy(this.bytes, 0, copied);
  }
}
