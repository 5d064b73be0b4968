import { T, type Value } from './value';

export type Path = readonly string[];

/**
 * Whether `see` says yes to any of the values that MongoDB looks at for `path` within `from`: through arrays on the way, by index
 * too; at the end the elements of an array and then the array itself (`leaf` 'whole': the array only). A path that leads nowhere
 * shows `undefined`.
 */
export function anyAt(
  from: Value,
  path: Path,
  leaf: 'elements' | 'whole',
  see: (value: Value | undefined) => boolean,
  at = 0,
): boolean {
  let value = from;
  for (; at < path.length; at++) {
    if (value.type === T.ARRAY) return anyIn(value, path, at, leaf, see);
    const next = value.type === T.OBJECT ? value.get(path[at]!) : undefined;
    if (!next) return see(undefined);
    value = next;
  }
  if (value.type === T.ARRAY && leaf === 'elements') for (const [, each] of value.fields) if (see(each)) return true;
  return see(value);
}

function anyIn(
  array: Value,
  path: Path,
  at: number,
  leaf: 'elements' | 'whole',
  see: (value: Value | undefined) => boolean,
): boolean {
  const index = path[at]!;
  for (const [name, each] of array.fields) {
    if (each.type === T.OBJECT && anyAt(each, path, leaf, see, at)) return true;
    if (name !== index) continue;
    if (at + 1 === path.length) {
      if (see(each)) return true;
    } else if (each.type === T.OBJECT) {
      if (anyAt(each, path, leaf, see, at + 1)) return true;
    } else if (each.type === T.ARRAY && anyIn(each, path, at + 1, leaf, see)) return true;
  }
  return false;
}

/** Whether a path passes or ends at an array. */
export function meetsArray(from: Value, path: Path): boolean {
  let value: Value | undefined = from;
  for (const part of path) {
    if (value.type === T.ARRAY) return true;
    value = value.type === T.OBJECT ? value.get(part) : undefined;
    if (!value) return false;
  }
  return value.type === T.ARRAY;
}
