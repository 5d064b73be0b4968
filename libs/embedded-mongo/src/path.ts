import { Refusal } from './errors';
import { T, type Value } from './value';

export type Path = readonly string[];
type See = (value: Value | undefined) => boolean;

/** MongoDB takes up to 200 parts, and 180 levels in a document. */
const LONGEST = 30;

/**
 * The parts of a dotted path, of which each names a field.
 * @throws MongoError with this code for positions in arrays, operators, empty names and long paths
 */
export function pathOf(name: string, code: number): Path {
  const path = name.split('.');
  if (path.length > LONGEST || path.some((part) => /^$|^\$|^\d+$/.test(part)))
    throw new Refusal(code, `the path '${name.slice(0, 100)}' is not supported`);
  return path;
}

/**
 * Whether `see` says yes to any of the values that MongoDB looks at for `path` within `from`: through arrays on the way; at the
 * end the elements of an array and then the array itself (`leaf` 'whole': the array only). A path that leads nowhere shows
 * `undefined`.
 */
export function anyAt(from: Value, path: Path, leaf: 'elements' | 'whole', see: See, at = 0): boolean {
  let value = from;
  for (; at < path.length; at++) {
    if (value.type === T.ARRAY) return value.items.some((each) => each.type === T.OBJECT && anyAt(each, path, leaf, see, at));
    const next = value.type === T.OBJECT ? value.get(path[at]!) : undefined;
    if (!next) return see(undefined);
    value = next;
  }
  return (value.type === T.ARRAY && leaf === 'elements' && value.items.some(see)) || see(value);
}
