import { type Collection, type Index, stored } from './collection';
import { MongoError } from './errors';
import { conjuncts, isNaNumber, matches, type Filter, type Predicate } from './filter';
import { type KeyField } from './index-keys';
import { bracket, keyOf } from './key';
import { T, type Value } from './value';

/** What to look for, in which order, and how many. */
export interface Query {
  readonly filter: Filter;
  readonly sort: readonly KeyField[];
  /** 0: all */
  readonly limit: number;
}

/** Keys from `low` (included) to `high` (excluded). */
interface Interval {
  readonly low: Buffer;
  readonly high: Buffer;
}

export interface Plan {
  /** undefined: the whole collection in natural order */
  readonly index: Index | undefined;
  readonly intervals: readonly Interval[];
  readonly backward: boolean;
  /** The index yields the wanted order: nothing is left to sort. */
  readonly sorted: boolean;
}

export interface Found {
  readonly rid: number;
  readonly doc: Value;
}

/** Behind every key that begins with what stands before it. */
const END = Buffer.from([0xff]);
const MOST_INTERVALS = 1000;

/** The index that serves most of a query, by a fixed rule: equalities first, then a range, then the order. */
export function choosePlan(collection: Collection, { filter, sort }: Query): Plan {
  // By `_id` alone at most one is found: nothing is sorted, not even to complain of its arrays.
  const unsorted = isById(filter) || sort.length === 0;
  let best: Plan = { index: undefined, intervals: [], backward: false, sorted: unsorted };
  let bestScore = 0;
  for (const index of collection.indexes) {
    if (!index.covers(filter)) continue;
    const { intervals, equalities, ranged } = boundsOf(index, conjuncts(filter));
    const order = intervals.length > 1 ? undefined : orderOf(index, equalities, sort);
    const exact = index.unique && equalities === index.fields.length;
    const score = (exact ? 100 : 0) + equalities * 10 + (ranged ? 5 : 0) + (order && sort.length > 0 ? 3 : 0);
    if (score <= bestScore) continue;
    bestScore = score;
    best = { index, intervals, backward: order === 'backward', sorted: unsorted || order !== undefined };
  }
  return best;
}

/** Whether a query asks for one `_id` and nothing else. */
export function isById(filter: Filter): boolean {
  return filter.kind === 'predicate' && filter.name === '_id' && filter.operator === '$eq';
}

/** Entries are kept in ascending order whatever an index's directions: they serve a sort whose fields all go one way. */
function orderOf(index: Index, equalities: number, sort: readonly KeyField[]): 'forward' | 'backward' | undefined {
  const fixed = new Set(index.fields.slice(0, equalities).map(({ name }) => name));
  const wanted = sort.filter(({ name }) => !fixed.has(name));
  if (wanted.some(({ name }, at) => index.fields[equalities + at]?.name !== name)) return undefined;
  if (wanted.every(({ direction }) => direction === 1)) return 'forward';
  return wanted.every(({ direction }) => direction === -1) ? 'backward' : undefined;
}

/** What the first fields of an index make of the conditions: points, then at most one range. */
function boundsOf(
  index: Index,
  predicates: readonly Predicate[],
): { intervals: readonly Interval[]; equalities: number; ranged: boolean } {
  let prefixes: Buffer[] = [Buffer.alloc(0)];
  let equalities = 0;
  let range: Interval | undefined;
  for (const field of index.fields) {
    const here = predicates.filter(({ name }) => name === field.name);
    const points = here.map(pointsOf).find((each) => each !== undefined);
    if (!points || prefixes.length * points.length > MOST_INTERVALS) {
      range = rangeOf(here);
      break;
    }
    const keys = new Map(points.map((point) => [keyOf(point).toString('latin1'), keyOf(point)]));
    prefixes = prefixes.flatMap((prefix) => [...keys.values()].map((key) => Buffer.concat([prefix, key])));
    equalities++;
  }
  const { low, high } = range ?? { low: Buffer.alloc(0), high: END };
  const intervals = prefixes.map((prefix) => ({ low: Buffer.concat([prefix, low]), high: Buffer.concat([prefix, high]) }));
  return { intervals: intervals.sort((a, b) => Buffer.compare(a.low, b.low)), equalities, ranged: range !== undefined };
}

function pointsOf({ operator, operand }: Predicate): readonly Value[] | undefined {
  return operator === '$eq' ? [operand] : operator === '$in' ? operand.items : undefined;
}

const UNLIMITED: ReadonlySet<number> = new Set([T.NULL, T.ARRAY, T.MIN_KEY, T.MAX_KEY]);

function rangeOf(predicates: readonly Predicate[]): Interval | undefined {
  const limits = predicates.filter(
    ({ operator, operand }) => /^\$[lg]te?$/.test(operator) && !UNLIMITED.has(operand.type) && !isNaNumber(operand),
  );
  const lower = limits.find(({ operator }) => operator.startsWith('$g'));
  const upper = limits.find(
    ({ operator, operand }) => operator.startsWith('$l') && (!lower || bracket(operand) === bracket(lower.operand)),
  );
  const some = lower ?? upper;
  if (!some) return undefined;
  const family = bracket(some.operand);
  return {
    low: lower ? edge(lower, lower.operator === '$gt') : Buffer.from([family]),
    high: upper ? edge(upper, upper.operator === '$lte') : Buffer.from([family + 1]),
  };
}

/** Before or behind all keys that begin with a value's. */
function edge({ operand }: Predicate, behind: boolean): Buffer {
  return behind ? Buffer.concat([keyOf(operand), END]) : keyOf(operand);
}

/** Tallies of a scan, for explain. */
export interface Tally {
  keys: number;
  docs: number;
}

/**
 * The documents that match, in the plan's order. It reads in chunks and finds its place again by key when something was written
 * meanwhile (a cursor waits for its client between two documents).
 * @throws MongoError 175 when the collection or index was dropped meanwhile
 */
export function* scan(collection: Collection, filter: Filter, plan: Plan, tally: Tally = { keys: 0, docs: 0 }): Generator<Found> {
  const { index } = plan;
  for (const [, rid, bytes] of index ? viaIndex(collection, index, plan) : inNaturalOrder(collection)) {
    if (index) tally.keys++;
    tally.docs++;
    const doc = stored(bytes);
    if (matches(filter, doc)) yield { rid, doc };
  }
}

type Row = readonly [key: Uint8Array | null, rid: number, doc: Uint8Array];

function inNaturalOrder(collection: Collection): Generator<Row> {
  return inChunks(collection, undefined, (last, size) => collection.after(last?.[1] ?? -1, size));
}

const READ = 'SELECT i.key, i.rid, d.doc FROM ENTRIES i JOIN DOCUMENTS d ON d.rid = i.rid WHERE';
const FORWARD = `${READ} (i.key, i.rid) > (?, ?) AND i.key < ? ORDER BY i.key, i.rid LIMIT ?`;
const BACKWARD = `${READ} (i.key, i.rid) < (?, ?) AND i.key >= ? ORDER BY i.key DESC, i.rid DESC LIMIT ?`;

function* viaIndex(collection: Collection, index: Index, { backward, intervals }: Plan): Generator<Row> {
  const statement = index.statement(backward ? BACKWARD : FORWARD);
  for (const { low, high } of backward ? [...intervals].reverse() : intervals) {
    const [from, to] = backward ? [high, low] : [low, high];
    yield* inChunks(
      collection,
      index,
      (last, size) => statement.all(last?.[0] ?? from, last?.[1] ?? -1, to, size) as unknown as Row[],
    );
  }
}

const FIRST_CHUNK = 4;
const LARGEST_CHUNK = 256;
const CHUNK_BYTES = 1 << 20;

function* inChunks(
  collection: Collection,
  index: Index | undefined,
  read: (last: Row | undefined, size: number) => readonly Row[],
): Generator<Row> {
  let last: Row | undefined;
  for (let size = FIRST_CHUNK; ;) {
    if (collection.dropped) throw new MongoError(175, 'collection dropped');
    if (index?.dropped) throw new MongoError(175, `index '${index.name}' dropped`);
    const [rows, { writes }] = [read(last, size), collection];
    let [bytes, stale] = [0, false];
    for (const row of rows) {
      yield (last = row);
      bytes += row[2].length;
      stale = collection.writes !== writes || collection.dropped || index?.dropped === true;
      if (stale) break;
    }
    if (rows.length < size && !stale) return;
    size = bytes > CHUNK_BYTES ? Math.ceil(size / 4) : Math.min(size * 4, LARGEST_CHUNK);
  }
}
