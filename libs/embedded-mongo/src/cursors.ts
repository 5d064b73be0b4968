import { randomBytes } from 'node:crypto';
import { MongoError } from './errors';
import { array, long, type Plain, type Value } from './value';

const LARGEST_BATCH = 16 * 1024 * 1024;
const IDLE_MS = 600_000;
const MOST_OPEN = 1000;

interface Cursor {
  readonly namespace: string;
  readonly documents: Iterator<Value>;
  /** How many more there may be. */
  left: number;
  /** Read, but too large for the batch it came up for. */
  waiting: Value | undefined;
  lastUsed: number;
}

/** Cursors that wait for their client; those forgotten for ten minutes are dropped, and the oldest where they are too many. */
export class Cursors {
  private readonly open = new Map<bigint, Cursor>();

  constructor(private readonly now: () => number) {}

  /**
   * The first batch; what is left waits under the id in the answer.
   * @param keep whether the client may come back for more
   */
  start(namespace: string, documents: Iterator<Value>, batchSize = 101, keep = true, limit = Infinity): Plain {
    const cursor = { namespace, documents, left: limit, waiting: undefined, lastUsed: this.now() };
    const { batch, done } = fill(cursor, batchSize);
    let id = 0n;
    if (!done && keep) {
      id = (randomBytes(8).readBigUInt64LE() >> 1n) | 1n;
      this.open.set(id, cursor);
      const [oldest] = this.open.keys();
      if (this.open.size > MOST_OPEN) this.open.delete(oldest!);
    }
    return { cursor: { firstBatch: array(batch), id: long(id), ns: namespace } };
  }

  next(id: bigint, namespace: string, batchSize: number): Plain {
    const cursor = this.open.get(id);
    if (!cursor) throw new MongoError(43, `cursor id ${id} not found`);
    if (cursor.namespace !== namespace)
      throw new MongoError(
        13,
        `Requested getMore on namespace '${namespace}', but cursor belongs to a different namespace ${cursor.namespace}`,
      );
    this.open.delete(id);
    const { batch, done } = fill(cursor, batchSize || Infinity);
    cursor.lastUsed = this.now();
    if (!done) this.open.set(id, cursor);
    return { cursor: { nextBatch: array(batch), id: long(done ? 0n : id), ns: namespace } };
  }

  kill(id: bigint): boolean {
    return this.open.delete(id);
  }

  dropIdle(): void {
    for (const [id, { lastUsed }] of this.open) if (lastUsed < this.now() - IDLE_MS) this.open.delete(id);
  }
}

function fill(cursor: Cursor, batchSize: number): { batch: Value[]; done: boolean } {
  const batch: Value[] = [];
  for (let bytes = 0; cursor.left > 0 && batch.length < batchSize; cursor.left--) {
    const next = cursor.waiting ?? nextOf(cursor.documents);
    cursor.waiting = undefined;
    if (!next) return { batch, done: true };
    bytes += next.length;
    if (batch.length > 0 && bytes > LARGEST_BATCH) {
      cursor.waiting = next;
      break;
    }
    batch.push(next);
  }
  return { batch, done: cursor.left <= 0 };
}

function nextOf(documents: Iterator<Value>): Value | undefined {
  const { done, value } = documents.next() as { done?: boolean; value: Value | undefined };
  return done ? undefined : value;
}
