import { use } from './accepted';
import { MongoError, Refusal } from './errors';
import { isExpression, matches, parseFilter, type Filter } from './filter';
import { compare, equal } from './key';
import { render, renderField } from './render';
import { array, double, int, long, T, value, type Field, type Value } from './value';

/** What an update does to one path. */
export interface Modifier {
  readonly operator: string;
  /** Whether it makes a field that is not there. */
  readonly creates: boolean;
  readonly insertOnly: boolean;
  /**
   * @param before the present value; undefined: there is none (asked only if `creates`)
   * @param path the whole path, for messages
   * @returns the new value; undefined takes the field away; `before` itself leaves all as it is
   */
  apply(before: Value | undefined, path: string, document: Value): Value | undefined;
}

type Make = (operand: Value, path: string) => Modifier['apply'];

const set: Make = (operand) => (before) => (before?.same(operand) ? before : operand);

const extreme =
  (sign: 1 | -1): Make =>
  (operand) =>
  (before) =>
    before && Math.sign(compare(operand, before)) !== sign ? before : operand;

const increase: Make = (operand, path) => {
  if (!operand.isNumber)
    throw new MongoError(14, `Cannot increment with non-numeric argument: {${renderField([path, operand])}}`);
  if (operand.type === T.DECIMAL) throw new Refusal(238, '$inc of a decimal is not supported');
  return (before, fullPath, document) => {
    if (!before) return operand;
    if (!before.isNumber) {
      const field = fullPath.split('.').at(-1);
      throw new MongoError(
        14,
        `Cannot apply $inc to a value of non-numeric type. {${idOf(document)}} has the field '${field}' of non-numeric type ${before.typeName}`,
      );
    }
    if (before.type === T.DECIMAL) throw new Refusal(238, '$inc of a decimal is not supported');
    const sum = add(before, operand);
    if (!sum) {
      throw new MongoError(
        2,
        `Failed to apply $inc operations to current value ((${before.type === T.INT ? 'NumberInt' : 'NumberLong'})${render(before)}) for document {${idOf(document)}}`,
      );
    }
    return sum.same(before) ? before : sum;
  };
};

/** int + int widens to long when it must; undefined: beyond a long. */
export function add(a: Value, b: Value): Value | undefined {
  if (a.type === T.DOUBLE || b.type === T.DOUBLE) return double(a.number + b.number);
  const sum = a.bigint + b.bigint;
  if (BigInt.asIntN(64, sum) !== sum) return undefined;
  return a.type === T.INT && b.type === T.INT && BigInt.asIntN(32, sum) === sum ? int(Number(sum)) : long(sum);
}

export function idOf(document: Value): string {
  const id = document.get('_id');
  return id ? renderField(['_id', id]) : 'no id';
}

const push: Make = (operand) => {
  const { items, slice } = parsePush(operand);
  return (before, path, document) => {
    if (before && before.type !== T.ARRAY) {
      throw new MongoError(
        2,
        `The field '${path}' must be an array but is of type ${before.typeName} in document {${idOf(document)}}`,
      );
    }
    const list = [...(before?.fields.map(([, each]) => each) ?? []), ...items];
    const kept = slice === undefined ? list : slice < 0 ? list.slice(slice) : list.slice(0, slice);
    return before && items.length === 0 && kept.length === list.length ? before : array(kept);
  };
};

function parsePush(operand: Value): { items: readonly Value[]; slice: number | undefined } {
  if (operand.type !== T.OBJECT || !operand.get('$each')) return { items: [operand], slice: undefined };
  let items: readonly Value[] = [];
  let slice: number | undefined;
  const names = new Set<string>();
  for (const [name, each] of operand.fields) {
    if (names.has(name)) throw new MongoError(2, `Only one ${name} is supported.`);
    names.add(name);
    if (name === '$each') {
      use('modifier', name);
      if (each.type !== T.ARRAY) {
        throw new MongoError(2, `The argument to $each in $push must be an array but it was of type: ${each.typeName}`);
      }
      items = each.fields.map(([, item]) => item);
    } else if (name === '$slice') {
      use('modifier', name);
      if (!each.isNumber || !Number.isInteger(each.number)) {
        throw new MongoError(2, `The value for $slice must be an integer value but was given type: ${each.typeName}`);
      }
      slice = each.number;
    } else throw new MongoError(2, `Unrecognized clause in $push: ${name}`);
  }
  return { items, slice };
}

const addToSet: Make = (operand) => {
  const items = parseAddToSet(operand);
  return (before, path) => {
    if (before && before.type !== T.ARRAY) {
      throw new MongoError(
        2,
        `Cannot apply $addToSet to non-array field. Field named '${path.split('.').at(-1)}' has non-array type ${before.typeName}`,
      );
    }
    const old = before?.fields.map(([, each]) => each) ?? [];
    const added: Value[] = [];
    for (const item of items) if (![...old, ...added].some((each) => equal(each, item))) added.push(item);
    return before && added.length === 0 ? before : array([...old, ...added]);
  };
};

function parseAddToSet(operand: Value): readonly Value[] {
  const [first, second] = operand.type === T.OBJECT ? operand.fields : [];
  if (first?.[0] !== '$each') return [operand];
  use('modifier', '$each');
  if (first[1].type !== T.ARRAY) {
    throw new MongoError(14, `The argument to $each in $addToSet must be an array but it was of type ${first[1].typeName}`);
  }
  if (second) throw new MongoError(2, `Found unexpected fields after $each in $addToSet: ${render(operand)}`);
  return first[1].fields.map(([, each]) => each);
}

const pull: Make = (operand) => {
  const takes = pullCondition(operand);
  return (before) => {
    if (before?.type !== T.ARRAY) throw new MongoError(2, 'Cannot apply $pull to a non-array value');
    const kept = before.fields.map(([, each]) => each).filter((each) => !takes(each));
    return kept.length === before.fields.length ? before : array(kept);
  };
};

function pullCondition(operand: Value): (element: Value) => boolean {
  if (operand.type === T.REGEX) throw new Refusal(2, 'regular expressions are not accepted in queries');
  if (operand.type !== T.OBJECT) return (element) => equal(element, operand);
  const first = operand.fields[0]?.[0] ?? '';
  if (isExpression(operand) && first !== '$and' && first !== '$or' && first !== '$nor') {
    const inner: Filter = parseFilter(value({ '': operand }));
    return (element) => matches(inner, value({ '': element }));
  }
  const inner = parseFilter(operand);
  return (element) => element.type === T.OBJECT && matches(inner, element);
}

const MAKERS: Readonly<Record<string, Make>> = {
  $set: set,
  $setOnInsert: set,
  $unset: () => () => undefined,
  $inc: increase,
  $min: extreme(-1),
  $max: extreme(1),
  $push: push,
  $pull: pull,
  $addToSet: addToSet,
};

/** @throws MongoError 9 for an unknown operator, 2 or 14 for an operand that does not suit it */
export function makeModifier(operator: string, [path, operand]: Field): Modifier {
  const make = MAKERS[operator]!;
  return {
    operator,
    creates: operator !== '$unset' && operator !== '$pull',
    insertOnly: operator === '$setOnInsert',
    apply: make(operand, path),
  };
}

export function isOperator(name: string): boolean {
  return Object.hasOwn(MAKERS, name);
}
