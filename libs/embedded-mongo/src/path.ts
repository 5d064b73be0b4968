import { T, type Value } from './value';

export type Path = readonly string[];
type See = (value: Value | undefined) => boolean;

/**
 * Whether `see` says yes to any of the values that MongoDB looks at for `path` within `from`: through arrays on the way, by index
 * too; at the end the elements of an array and then the array itself (`leaf` 'whole': the array only). A path that leads nowhere
 * shows `undefined`.
 */
export function anyAt(from: Value, path: Path, leaf: 'elements' | 'whole', see: See, at = 0): boolean {
  let value = from;
  for (; at < path.length; at++) {
    if (value.type === T.ARRAY) return anyIn(value, path, at, leaf, see);
    const next = value.type === T.OBJECT ? value.get(path[at]!) : undefined;
    if (!next) return see(undefined);
    value = next;
  }
  return (value.type === T.ARRAY && leaf === 'elements' && value.items.some(see)) || see(value);
}

function anyIn(array: Value, path: Path, at: number, leaf: 'elements' | 'whole', see: See): boolean {
  return array.fields.some(([index, each]) => {
    if (each.type === T.OBJECT && anyAt(each, path, leaf, see, at)) return true;
    if (index !== path[at]) return false;
    if (at + 1 === path.length) return see(each);
    if (each.type === T.OBJECT) return anyAt(each, path, leaf, see, at + 1);
    return each.type === T.ARRAY && anyIn(each, path, at + 1, leaf, see);
  });
}
