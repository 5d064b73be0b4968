import { MongoError } from './errors';
import { descending, keyOf } from './key';
import { type Path } from './path';
import { T, Value } from './value';

/** One field of an index or of a sort: its path and its direction. */
export interface KeyField {
  readonly name: string;
  readonly path: Path;
  readonly direction: 1 | -1;
}

/** One entry of an index: a value per field; `undefined` where the document has none. */
export type Entry = readonly (Value | undefined)[];

/** What MongoDB indexes for an empty array. */
const EMPTY_ARRAY = new Value(T.UNDEFINED, Buffer.alloc(0));

interface Walk {
  readonly from: Value;
  readonly at: number;
}

/**
 * The entries of a document in an index on `fields`: more than one where a path meets an array, whose elements are indexed each.
 * @returns also whether an array was met (the index is then multikey)
 * @throws MongoError 171 when two paths meet different arrays
 */
export function entriesOf(document: Value, fields: readonly KeyField[]): { entries: readonly Entry[]; multikey: boolean } {
  const start = fields.map(() => ({ from: document, at: 0 }));
  const plain = start.map((walk, index) => step(walk, fields[index]!.path));
  if (!plain.some(isArray)) return { entries: [plain as Entry], multikey: false };
  return { entries: [...expand(start, fields)], multikey: true };
}

interface AtArray {
  readonly array: Value;
  readonly at: number;
}

function isArray(end: Value | undefined | AtArray): end is AtArray {
  return end !== undefined && 'array' in end;
}

/** Follows a path to its value, or to the first array on it. */
function step({ from, at }: Walk, path: Path): Value | undefined | AtArray {
  let value = from;
  for (; at < path.length; at++) {
    if (value.type === T.ARRAY) return { array: value, at };
    const next = value.type === T.OBJECT ? value.get(path[at]!) : undefined;
    if (!next) return undefined;
    value = next;
  }
  return value.type === T.ARRAY ? { array: value, at } : value;
}

/** A walk that has come to its end: the value, whatever it is. */
interface Done {
  readonly done: Value | undefined;
}

function* expand(walks: readonly (Walk | Done)[], fields: readonly KeyField[]): Generator<Entry> {
  const ends = walks.map((walk, index) => ('done' in walk ? walk : step(walk, fields[index]!.path)));
  const arrays = ends.flatMap((end, index) => (end && 'array' in end ? [{ ...end, name: fields[index]!.name }] : []));
  const [first] = arrays;
  if (!first) {
    yield ends.map((end) => (end && 'done' in end ? end.done : (end as Value | undefined)));
    return;
  }
  const other = arrays.find(({ array }) => array !== first.array);
  if (other) throw new MongoError(171, `cannot index parallel arrays [${lastPart(other)}] [${lastPart(first)}]`);
  const elements = first.array.fields.map(([, each]) => each);
  for (const element of elements.length ? elements : [undefined]) {
    const next = ends.map((end, index): Walk | Done => {
      if (!end || !('array' in end)) return end && 'done' in end ? end : { done: end };
      if (end.at === fields[index]!.path.length) return { done: element ?? EMPTY_ARRAY };
      return element?.type === T.OBJECT ? { from: element, at: end.at } : { done: undefined };
    });
    yield* expand(next, fields);
  }
}

function lastPart({ name, at }: { name: string; at: number }): string {
  return name.split('.')[at - 1] ?? name;
}

export function encodeEntry(entry: Entry, fields: readonly KeyField[]): Buffer {
  if (entry.length === 1) return encodePart(entry[0], fields[0]!);
  return Buffer.concat(entry.map((value, index) => encodePart(value, fields[index]!)));
}

function encodePart(value: Value | undefined, { direction }: KeyField): Buffer {
  return direction === 1 ? keyOf(value) : descending(keyOf(value));
}

/** Where a document stands in a sort: its lowest entry. */
export function sortKey(document: Value, fields: readonly KeyField[]): Buffer {
  try {
    const keys = entriesOf(document, fields).entries.map((entry) => encodeEntry(entry, fields));
    return keys.reduce((lowest, key) => (Buffer.compare(key, lowest) < 0 ? key : lowest));
  } catch (error) {
    if (error instanceof MongoError && error.code === 171)
      throw new MongoError(2, 'cannot sort with keys that are parallel arrays');
    throw error;
  }
}
