import { type Collection } from './collection';
import { Refusal } from './errors';
import { parseFilter } from './filter';
import { keyFields, sortKey, type KeyField } from './index-keys';
import { choosePlan, isById, scan, type Found, type Plan, type Query, type Tally } from './plan';
import { document, T, type Value } from './value';

export function queryOf(filter: Value | undefined, sort?: Value, limit = 0): Query {
  const parsed = parseFilter(filter ?? document([]));
  return { filter: parsed, sort: sort ? parseSort(sort) : [], limit: isById(parsed) ? 1 : limit };
}

export function parseSort(sort: Value): readonly KeyField[] {
  for (const [name, { isNumber, type, number }] of sort.fields) {
    if (!isNumber || type === T.DECIMAL)
      throw new Refusal(15974, `Illegal key in $sort specification: ${name}: only 1 and -1 are supported`);
    if (Math.abs(number) !== 1) throw new Refusal(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)');
  }
  return keyFields(sort, 2);
}

/** What a query finds, in its order. */
export function* run(
  collection: Collection,
  query: Query,
  plan: Plan = choosePlan(collection, query),
  tally?: Tally,
): Generator<Found> {
  const end = query.limit || Infinity;
  const found = scan(collection, query.filter, plan, tally);
  let at = 0;
  for (const each of plan.sorted ? found : sorted(found, query.sort, end)) {
    yield each;
    if (++at >= end) return;
  }
}

const SORT_MEMORY = 100 * 1024 * 1024;

/** The first of all in order, sorted in memory, of which MongoDB too takes 100 MB; ties stay in the order they came. */
function sorted(all: Iterable<Found>, sort: readonly KeyField[], first: number): readonly Found[] {
  let rows: { key: Buffer; found: Found }[] = [];
  let bytes = 0;
  const cut = (): void => {
    rows = rows.sort((a, b) => Buffer.compare(a.key, b.key)).slice(0, first);
    bytes = rows.reduce((sum, { found }) => sum + found.doc.length, 0);
  };
  for (const found of all) {
    rows.push({ key: sortKey(found.doc, sort), found });
    bytes += found.doc.length;
    if (rows.length > 2 * first + 1000 || bytes > SORT_MEMORY) cut();
    if (bytes > SORT_MEMORY)
      throw new Refusal(292, 'Sort exceeded memory limit of 104857600 bytes, and spilling to disk is not supported');
  }
  cut();
  return rows.map(({ found }) => found);
}
