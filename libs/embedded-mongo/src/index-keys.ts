import { MongoError } from './errors';
import { descending, keyOf } from './key';
import { pathOf, type Path } from './path';
import { T, Value } from './value';

/** One field of an index or of a sort: its path and its direction. */
export interface KeyField {
  readonly name: string;
  readonly path: Path;
  readonly direction: 1 | -1;
}

/** @throws MongoError with this code for a path that is not supported */
export function keyFields(pattern: Value, code: number): readonly KeyField[] {
  return pattern.fields.map(([name, { number }]) => ({ name, path: pathOf(name, code), direction: number < 0 ? -1 : 1 }));
}

/** One entry of an index: a value per field; `undefined` where the document has none. */
export type Entry = readonly (Value | undefined)[];

/** What MongoDB indexes for an empty array. */
const EMPTY_ARRAY = new Value(T.UNDEFINED, Buffer.alloc(0));

/** How far a path was followed: to its end, or to the first array on it. */
interface Walk {
  readonly value: Value | undefined;
  /** Parts of the path that lead to `value`; Infinity: this is the end, whatever it is. */
  readonly at: number;
}

function isStopped({ value, at }: Walk): boolean {
  return value?.type === T.ARRAY && at !== Infinity;
}

function follow({ value, at }: Walk, path: Path): Walk {
  if (at === Infinity) return { value, at };
  for (; value && at < path.length && value.type !== T.ARRAY; at++)
    value = value.type === T.OBJECT ? value.get(path[at]!) : undefined;
  return value?.type === T.ARRAY ? { value, at } : { value, at: Infinity };
}

/**
 * The entries of a document in an index on `fields`: more than one where a path meets an array, whose elements are indexed each.
 * @throws MongoError 171 when two paths meet different arrays
 */
export function entriesOf(document: Value, fields: readonly KeyField[]): { entries: readonly Entry[]; multikey: boolean } {
  const walks = fields.map(({ path }) => follow({ value: document, at: 0 }, path));
  return walks.some(isStopped)
    ? { entries: expand(walks, fields), multikey: true }
    : { entries: [walks.map(({ value }) => value)], multikey: false };
}

function expand(walks: readonly Walk[], fields: readonly KeyField[]): readonly Entry[] {
  const stopped = walks.filter(isStopped);
  const array = stopped[0]?.value;
  if (!array) return [walks.map(({ value }) => value)];
  const other = stopped.find(({ value }) => value !== array);
  const last = (walk: Walk): string => fields[walks.indexOf(walk)]!.path[walk.at - 1]!;
  if (other) throw new MongoError(171, `cannot index parallel arrays [${last(other)}] [${last(stopped[0]!)}]`);
  return (array.items.length > 0 ? array.items : [undefined]).flatMap((element) => {
    const next = walks.map((walk, each): Walk => {
      const { path } = fields[each]!;
      if (!isStopped(walk)) return walk;
      if (walk.at === path.length) return { value: element ?? EMPTY_ARRAY, at: Infinity };
      return follow({ value: element?.type === T.OBJECT ? element : undefined, at: walk.at }, path);
    });
    return expand(next, fields);
  });
}

export function encodeEntry(entry: Entry): Buffer {
  return entry.length === 1 ? keyOf(entry[0]) : Buffer.concat(entry.map(keyOf));
}

/** With the fields' directions: as bytes in the order in which MongoDB keeps or sorts them. */
export function directedKey(entry: Entry, fields: readonly KeyField[]): Buffer {
  return Buffer.concat(entry.map((value, at) => (fields[at]!.direction === 1 ? keyOf(value) : descending(keyOf(value)))));
}

export function byKey(a: { readonly key: Buffer }, b: { readonly key: Buffer }): number {
  return Buffer.compare(a.key, b.key);
}

/** Where a document stands in a sort: its lowest entry. */
export function sortKey(document: Value, fields: readonly KeyField[]): Buffer {
  try {
    const keys = entriesOf(document, fields).entries.map((entry) => ({ key: directedKey(entry, fields) }));
    return keys.sort(byKey)[0]!.key;
  } catch (error) {
    if (error instanceof MongoError && error.code === 171)
      throw new MongoError(2, 'cannot sort with keys that are parallel arrays');
    throw error;
  }
}
