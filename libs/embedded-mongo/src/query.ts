import { type Collection } from './collection';
import { MongoError, Refusal } from './errors';
import { parseFilter, type Filter } from './filter';
import { sortKey, type KeyField } from './index-keys';
import { choosePlan, scan, type Found, type Plan, type Tally } from './plan';
import { document, T, type Value } from './value';

/** What to look for, in which order, and how much of it. */
export interface Query {
  readonly filter: Filter;
  readonly sort: readonly KeyField[];
  readonly skip: number;
  /** 0: all */
  readonly limit: number;
}

export const ALL = document([]);

export function queryOf(filter: Value | undefined, sort?: Value, skip = 0, limit = 0): Query {
  return { filter: parseFilter(filter ?? ALL), sort: sort ? parseSort(sort) : [], skip, limit };
}

export function parseSort(sort: Value): readonly KeyField[] {
  const seen = new Set<string>();
  return sort.fields.map(([name, direction]) => {
    if (!direction.isNumber || direction.type === T.DECIMAL)
      throw new Refusal(15974, `Illegal key in $sort specification: ${name}: only 1 and -1 are supported`);
    if (direction.number !== 1 && direction.number !== -1) {
      throw new MongoError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)');
    }
    if (name === '' || name.startsWith('$') || name.split('.').includes(''))
      throw new Refusal(2, `the sort path '${name}' is not supported`);
    if (/(^|\.)\d+(\.|$)/.test(name)) throw new Refusal(2, `the sort path '${name}' is not supported`);
    if (seen.has(name)) throw new Refusal(2, `the sort path '${name}' is named twice`);
    seen.add(name);
    return { name, path: name.split('.'), direction: direction.number };
  });
}

export function* run(
  collection: Collection,
  query: Query,
  plan: Plan = planOf(collection, query),
  tally?: Tally,
): Generator<Found> {
  const found = scan(collection, query.filter, plan, tally);
  yield* slice(
    plan.sorted ? found : sorted(found, query.sort, query.limit ? query.skip + query.limit : Infinity, ({ doc }) => doc),
    query,
  );
}

export function planOf(collection: Collection, query: Query): Plan {
  return choosePlan(collection, query.filter, query.sort);
}

export function* slice<Each>(all: Iterable<Each>, { skip, limit }: { skip: number; limit: number }): Generator<Each> {
  let at = 0;
  if (limit === 0) limit = Infinity;
  for (const each of all) {
    if (at++ < skip) continue;
    yield each;
    if (at >= skip + limit) return;
  }
}

const SORT_MEMORY = 100 * 1024 * 1024;

/** Sorted in memory, of which MongoDB too allows 100 MB; ties stay in the order they came. */
export function sorted<Each>(
  all: Iterable<Each>,
  sort: readonly KeyField[],
  first: number,
  documentOf: (each: Each) => Value,
): Each[] {
  let rows: { key: Buffer; each: Each }[] = [];
  let bytes = 0;
  const order = (): void => {
    rows.sort((a, b) => Buffer.compare(a.key, b.key));
    if (rows.length > first) {
      rows = rows.slice(0, first);
      bytes = rows.reduce((sum, { each }) => sum + documentOf(each).length, 0);
    }
  };
  for (const each of all) {
    const doc = documentOf(each);
    rows.push({ key: sortKey(doc, sort), each });
    bytes += doc.length;
    if (rows.length > 2 * first + 1000 || bytes > SORT_MEMORY) order();
    if (bytes > SORT_MEMORY)
      throw new MongoError(292, 'Sort exceeded memory limit of 104857600 bytes, and spilling to disk is not supported');
  }
  order();
  return rows.map(({ each }) => each);
}
