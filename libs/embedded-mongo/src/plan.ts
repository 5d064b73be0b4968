import { type Collection, type Index, stored } from './collection';
import { MongoError } from './errors';
import { conjuncts, isNaNumber, matches, type Filter, type Predicate } from './filter';
import { type KeyField } from './index-keys';
import { bracket, descending, keyOf } from './key';
import { T, type Value } from './value';

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

const END = Buffer.from([0xff]);
const MOST_INTERVALS = 1000;

/** The index that serves most of a query, by a fixed rule: equalities first, then a range, then the order. */
export function choosePlan(collection: Collection, filter: Filter, sort: readonly KeyField[]): Plan {
  const predicates = conjuncts(filter);
  // By `_id` alone at most one is found: nothing is sorted, not even to complain of its arrays.
  const single = filter.kind === 'predicate' && filter.name === '_id' && filter.operator === '$eq';
  if (single) sort = [];
  let best: Plan = { index: undefined, intervals: [], backward: false, sorted: sort.length === 0 };
  let bestScore = 0;
  for (const index of collection.indexes) {
    if (!index.covers(filter)) continue;
    const { intervals, equalities, ranged } = boundsOf(index, predicates);
    const order = index.multikey || intervals.length > 1 ? undefined : orderOf(index, equalities, sort);
    const score =
      equalities * 10 +
      (ranged ? 5 : 0) +
      (order && sort.length ? 3 : 0) +
      (index.unique && equalities === index.fields.length ? 20 : 0);
    if (score <= bestScore) continue;
    bestScore = score;
    best = { index, intervals, backward: order === 'backward', sorted: sort.length === 0 || order !== undefined };
  }
  return best;
}

function orderOf(index: Index, equalities: number, sort: readonly KeyField[]): 'forward' | 'backward' | undefined {
  const fixed = new Set(index.fields.slice(0, equalities).map(({ name }) => name));
  const wanted = sort.filter(({ name }) => !fixed.has(name));
  const given = index.fields.slice(equalities);
  if (wanted.length > given.length || wanted.some(({ name }, at) => given[at]!.name !== name)) return undefined;
  if (wanted.every(({ direction }, at) => given[at]!.direction === direction)) return 'forward';
  return wanted.every(({ direction }, at) => given[at]!.direction !== direction) ? 'backward' : undefined;
}

/** What the first fields of an index make of the conditions: points, then at most one range. */
function boundsOf(
  index: Index,
  predicates: readonly Predicate[],
): { intervals: readonly Interval[]; equalities: number; ranged: boolean } {
  let prefixes: Buffer[] = [Buffer.alloc(0)];
  let equalities = 0;
  for (const field of index.fields) {
    const here = predicates.filter(({ name, leaf }) => name === field.name && leaf === 'elements');
    const points = pointsOf(here, index.multikey);
    if (points && prefixes.length * points.length <= MOST_INTERVALS) {
      const keys = distinct(points.map((point) => directed(keyOf(point), field)));
      prefixes = prefixes.flatMap((prefix) => keys.map((key) => Buffer.concat([prefix, key])));
      equalities++;
      if (index.multikey) break; // two fields below one array may hold for two of its elements
      continue;
    }
    const range = rangeOf(here, field, index.multikey);
    if (!range) break;
    const intervals = prefixes.map((prefix) => ({
      low: Buffer.concat([prefix, range.low]),
      high: Buffer.concat([prefix, range.high]),
    }));
    return { intervals: ordered(intervals), equalities, ranged: true };
  }
  return {
    intervals: ordered(prefixes.map((prefix) => ({ low: prefix, high: Buffer.concat([prefix, END]) }))),
    equalities,
    ranged: false,
  };
}

function ordered(intervals: readonly Interval[]): readonly Interval[] {
  return [...intervals].sort((a, b) => Buffer.compare(a.low, b.low));
}

function distinct(keys: readonly Buffer[]): readonly Buffer[] {
  return [...new Map(keys.map((key) => [key.toString('latin1'), key])).values()];
}

function directed(key: Buffer, { direction }: KeyField): Buffer {
  return direction === 1 ? key : descending(key);
}

/** Values that must be looked up as they stand; an array is found under its elements, null also where an array hides it. */
function isPoint(value: Value, multikey: boolean): boolean {
  return value.type !== T.ARRAY && !(multikey && value.type === T.NULL);
}

function pointsOf(predicates: readonly Predicate[], multikey: boolean): readonly Value[] | undefined {
  for (const { operator, operand } of predicates) {
    const points = operator === '$eq' ? [operand] : operator === '$in' ? operand.fields.map(([, each]) => each) : undefined;
    if (points?.every((point) => isPoint(point, multikey))) return points;
  }
  return undefined;
}

/** An edge of a range of values: all that compare with `bytes` as prefix are in or, if `excluded`, out. */
interface Edge {
  readonly bytes: Buffer;
  readonly excluded: boolean;
}

function rangeOf(predicates: readonly Predicate[], field: KeyField, multikey: boolean): Interval | undefined {
  const limits = predicates.filter(
    ({ operator, operand }) => operator.length >= 3 && /^\$[lg]te?$/.test(operator) && isLimit(operand),
  );
  const lower = limits.find(({ operator }) => operator.startsWith('$g'));
  // In a multikey index two limits may hold for two elements: only one of them bounds the scan.
  const upper = multikey && lower ? undefined : limits.find(({ operator }) => operator.startsWith('$l'));
  const some = lower ?? upper;
  if (!some) return undefined;
  const family = bracket(some.operand);
  if (lower && upper && bracket(upper.operand) !== family) return edges(edgeOf(lower), familyEnd(family, 1), field);
  return edges(lower ? edgeOf(lower) : familyEnd(family, -1), upper ? edgeOf(upper) : familyEnd(family, 1), field);
}

function isLimit(operand: Value): boolean {
  return ![T.NULL, T.ARRAY, T.MIN_KEY, T.MAX_KEY].some((type) => type === operand.type) && !isNaNumber(operand);
}

function edgeOf({ operator, operand }: Predicate): Edge {
  return { bytes: keyOf(operand), excluded: !operator.endsWith('e') };
}

function familyEnd(family: number, side: 1 | -1): Edge {
  return { bytes: Buffer.from([family + side]), excluded: true };
}

function inverted({ bytes, excluded }: Edge): Edge {
  return { bytes: descending(bytes), excluded };
}

function edges(lower: Edge, upper: Edge, { direction }: KeyField): Interval {
  const [first, last] = direction === 1 ? [lower, upper] : ([inverted(upper), inverted(lower)] as const);
  return {
    low: first.excluded ? Buffer.concat([first.bytes, END]) : first.bytes,
    high: last.excluded ? last.bytes : Buffer.concat([last.bytes, END]),
  };
}

/** Tallies of a scan, for explain. */
export interface Tally {
  keys: number;
  docs: number;
}

const FIRST_CHUNK = 16;
const LARGEST_CHUNK = 256;

/**
 * The documents that match, in the plan's order. It reads in chunks and finds its place again by key, so that writes between two
 * chunks (a cursor waits for its client there) neither end nor confuse it.
 * @throws MongoError 175 when the collection or index was dropped meanwhile
 */
export function* scan(collection: Collection, filter: Filter, plan: Plan, tally?: Tally): Generator<Found> {
  const { index } = plan;
  const seen = index?.multikey ? new Set<number>() : undefined;
  for (const [rid, bytes] of index ? viaIndex(collection, index, plan) : inNaturalOrder(collection)) {
    if (tally && index) tally.keys++;
    if (seen?.has(rid)) continue;
    seen?.add(rid);
    if (tally) tally.docs++;
    const doc = stored(bytes);
    if (matches(filter, doc)) yield { rid, doc };
  }
}

type Row = readonly [key: Uint8Array, rid: number, doc: Uint8Array];

function* inNaturalOrder(collection: Collection): Generator<readonly [number, Uint8Array]> {
  for (let [last, size] = [-1, FIRST_CHUNK]; ; size = Math.min(size * 4, LARGEST_CHUNK)) {
    if (collection.dropped) throw killed(`collection dropped`);
    const rows = collection.after(last, size);
    for (const [, rid, doc] of rows) yield [(last = rid), doc];
    if (rows.length < size) return;
  }
}

const FORWARD = `SELECT i.key, i.rid, d.doc FROM INDEX_TABLE i JOIN DOCUMENTS d ON d.rid = i.rid
  WHERE (i.key, i.rid) > (?, ?) AND i.key < ? ORDER BY i.key, i.rid LIMIT ?`;
const BACKWARD = `SELECT i.key, i.rid, d.doc FROM INDEX_TABLE i JOIN DOCUMENTS d ON d.rid = i.rid
  WHERE (i.key, i.rid) < (?, ?) AND i.key >= ? ORDER BY i.key DESC, i.rid DESC LIMIT ?`;

function* viaIndex(collection: Collection, index: Index, plan: Plan): Generator<readonly [number, Uint8Array]> {
  for (const { low, high } of plan.backward ? [...plan.intervals].reverse() : plan.intervals) {
    let from: readonly [Uint8Array, number] = plan.backward ? [high, -1] : [low, -1];
    for (let size = FIRST_CHUNK; ; size = Math.min(size * 4, LARGEST_CHUNK)) {
      if (collection.dropped) throw killed('collection dropped');
      if (index.dropped) throw killed(`index '${index.name}' dropped`);
      const statement = index.statement(plan.backward ? BACKWARD : FORWARD);
      const rows = statement.all(from[0], from[1], plan.backward ? low : high, size) as unknown as Row[];
      for (const [key, rid, doc] of rows) {
        from = [key, rid];
        yield [rid, doc];
      }
      if (rows.length < size) break;
    }
  }
}

function killed(reason: string): MongoError {
  return new MongoError(175, reason);
}
