/** The last bytes of a stream, addressed by their position in it. Keeps the chunks it is given; copies only to join a slice. */
export class RingBuffer {
  private chunks: Buffer[] = [];
  /** Position of each chunk's first byte. */
  private starts: number[] = [];
  private first: number;
  private last: number;

  /** @param capacity bytes kept @param start position of the first byte to come */
  constructor(
    private readonly capacity: number,
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
    if (chunk.length === 0) return;
    this.chunks.push(chunk);
    this.starts.push(this.last);
    this.last += chunk.length;
    this.first = Math.max(this.first, this.last - this.capacity);
    let drop = 0;
    for (let chunkEnd = this.endOf(0); drop < this.chunks.length - 1 && chunkEnd <= this.first; chunkEnd = this.endOf(drop))
      drop += 1;
    if (drop > 0) {
      this.chunks.splice(0, drop);
      this.starts.splice(0, drop);
    }
  }

  /** The bytes from `from` on, at most `most`. `from` must be kept. */
  slice(from: number, most: number): Buffer {
    const to = Math.min(this.last, from + most);
    if (from >= to) return Buffer.alloc(0);
    const parts: Buffer[] = [];
    for (let index = this.find(from); index < this.chunks.length; index += 1) {
      const chunk = this.chunks[index];
      const start = this.starts[index];
      if (!chunk || start === undefined || start >= to) break;
      parts.push(chunk.subarray(Math.max(0, from - start), Math.min(chunk.length, to - start)));
    }
    const [only] = parts;
    return only && parts.length === 1 ? only : Buffer.concat(parts);
  }

  private endOf(index: number): number {
    return (this.starts[index] ?? 0) + (this.chunks[index]?.length ?? 0);
  }

  /** Index of the chunk that holds `position`, by bisection. */
  private find(position: number): number {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] ?? Infinity) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
