import { Refusal } from './errors';
import { descending, keyOf } from './key';
import { pathOf, type Path } from './path';
import { T, type Value } from './value';

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

/**
 * What a document has at the fields of an index or a sort; `undefined` where it has nothing.
 * @throws MongoError 238 for arrays, of which MongoDB looks at each element
 */
export function entryOf(document: Value, fields: readonly KeyField[]): readonly (Value | undefined)[] {
  return fields.map(({ name, path }) => {
    let at: Value | undefined = document;
    for (const part of path) at = at?.type === T.OBJECT ? at.get(part) : refuseArray(at, name);
    return refuseArray(at, name) ?? at;
  });
}

function refuseArray(value: Value | undefined, name: string): undefined {
  if (value?.type === T.ARRAY) throw new Refusal(238, `an array in the index or sort field '${name}' is not supported`);
}

/** As bytes in the order in which MongoDB sorts. */
export function sortKey(document: Value, fields: readonly KeyField[]): Buffer {
  const keys = entryOf(document, fields).map(keyOf);
  return Buffer.concat(keys.map((key, at) => (fields[at]!.direction === 1 ? key : descending(key))));
}
