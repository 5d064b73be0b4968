import { use } from './accepted';
import { MongoError, Refusal } from './errors';
import { bracket, compare, equal, keyOf } from './key';
import { anyAt, type Path } from './path';
import { T, Value } from './value';

export type Comparison = '$eq' | '$lt' | '$lte' | '$gt' | '$gte';

/** One condition on one path; `test` looks at one value, as if no array stood around it. */
export interface Predicate {
  readonly kind: 'predicate';
  readonly name: string;
  readonly path: Path;
  readonly operator: Comparison | '$in' | '$exists' | '$size' | '$elemMatch';
  readonly operand: Value;
  readonly leaf: 'elements' | 'whole';
  readonly test: (value: Value | undefined) => boolean;
}

export type Filter = Predicate | { readonly kind: 'and' | 'or' | 'nor'; readonly of: readonly Filter[] };

export function matches(filter: Filter, document: Value): boolean {
  switch (filter.kind) {
    case 'predicate':
      return anyAt(document, filter.path, filter.leaf, filter.test);
    case 'and':
      return filter.of.every((each) => matches(each, document));
    case 'or':
      return filter.of.some((each) => matches(each, document));
    case 'nor':
      return !filter.of.some((each) => matches(each, document));
  }
}

/** The conditions that all must hold: what an index can serve, and what an upsert takes its fields from. */
export function conjuncts(filter: Filter): readonly Predicate[] {
  if (filter.kind === 'predicate') return [filter];
  return filter.kind === 'and' ? filter.of.flatMap(conjuncts) : [];
}

/** @throws MongoError 2 (BadValue) or 9 (FailedToParse) for whatever is not accepted */
export function parseFilter(query: Value): Filter {
  const of = query.fields.flatMap(([name, operand]): readonly Filter[] => {
    if (!name.startsWith('$')) return parsePath(name, operand);
    if (name === '$and' || name === '$or' || name === '$nor') return [parseList(name, operand)];
    throw new Refusal(
      2,
      `unknown top level operator: ${name}. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.`,
    );
  });
  return of.length === 1 ? of[0]! : { kind: 'and', of };
}

function parseList(name: '$and' | '$or' | '$nor', operand: Value): Filter {
  use('query', name);
  if (operand.type !== T.ARRAY) throw new MongoError(2, `${name} must be an array`);
  if (operand.fields.length === 0) throw new MongoError(2, '$and/$or/$nor must be a nonempty array');
  const of = operand.fields.map(([, each]) => {
    if (each.type !== T.OBJECT) throw new MongoError(2, '$or/$and/$nor entries need to be full objects');
    return parseFilter(each);
  });
  return { kind: name === '$and' ? 'and' : name === '$or' ? 'or' : 'nor', of };
}

/** Whether `{a: operand}` holds operators rather than a value to be equal to. */
export function isExpression(operand: Value): boolean {
  return operand.type === T.OBJECT && (operand.fields[0]?.[0].startsWith('$') ?? false);
}

function parsePath(name: string, operand: Value): readonly Filter[] {
  if (operand.type === T.REGEX) throw new Refusal(2, 'regular expressions are not accepted in queries');
  if (!isExpression(operand)) return [comparison(name, '$eq', operand)];
  return operand.fields.map(([operator, each]) => parseOperator(name, operator, each));
}

function parseOperator(name: string, operator: string, operand: Value): Filter {
  switch (operator) {
    case '$eq':
    case '$lt':
    case '$lte':
    case '$gt':
    case '$gte':
      use('query', operator);
      if (operand.type === T.REGEX && operator !== '$eq') {
        throw new MongoError(2, `Can't have RegEx as arg to non-equality predicate over field '${name}'.`);
      }
      return comparison(name, operator, operand);
    case '$ne':
      use('query', operator);
      if (operand.type === T.REGEX) throw new MongoError(2, "Can't have regex as arg to $ne.");
      return { kind: 'nor', of: [comparison(name, '$eq', operand)] };
    case '$in':
      use('query', operator);
      return membership(name, operand);
    case '$nin':
      use('query', operator);
      return { kind: 'nor', of: [membership(name, operand)] };
    case '$exists': {
      use('query', operator);
      const exists = predicate(name, '$exists', operand, 'whole', (value) => value !== undefined);
      return operand.truthy ? exists : { kind: 'nor', of: [exists] };
    }
    case '$not':
      use('query', operator);
      return { kind: 'nor', of: [{ kind: 'and', of: parseNot(name, operand) }] };
    case '$size':
      use('query', operator);
      return size(name, operand);
    case '$elemMatch':
      use('query', operator);
      return elemMatch(name, operand);
    default:
      throw new Refusal(2, `unknown operator: ${operator}`);
  }
}

function parseNot(name: string, operand: Value): readonly Filter[] {
  if (operand.type === T.REGEX) throw new Refusal(2, 'regular expressions are not accepted in queries');
  if (operand.type !== T.OBJECT) throw new MongoError(2, '$not needs a regex or a document');
  if (operand.fields.length === 0) throw new MongoError(2, '$not cannot be an empty document');
  return operand.fields.map(([operator, each]) => parseOperator(name, operator, each));
}

/** What null means behind an array differs between MongoDB 7 and 9. */
function refuseNull(name: string, operand: Value): void {
  if (operand.type === T.NULL && name.includes('.')) throw new Refusal(2, `null is not supported as an operand for the dotted path '${name}'`);
}

function predicate(
  name: string,
  operator: Predicate['operator'],
  operand: Value,
  leaf: Predicate['leaf'],
  test: Predicate['test'],
): Predicate {
  return { kind: 'predicate', name, path: name.split('.'), operator, operand, leaf, test };
}

function comparison(name: string, operator: Comparison, operand: Value): Predicate {
  refuseNull(name, operand);
  return predicate(name, operator, operand, 'elements', comparing(operator, operand));
}

export const isNaNumber = (value: Value): boolean => value.isNumber && keyOf(value)[1] === 1;

function comparing(operator: Comparison, operand: Value): Predicate['test'] {
  const orEqual = operator === '$eq' || operator === '$lte' || operator === '$gte';
  if (operand.type === T.NULL) return (value) => orEqual && (!value || value.type === T.NULL);
  if (operator === '$eq') return (value) => value !== undefined && equal(value, operand);
  if (operand.type === T.MIN_KEY || operand.type === T.MAX_KEY) {
    const others = operand.type === T.MAX_KEY ? operator.startsWith('$lt') : operator.startsWith('$gt');
    return (value) => (value?.type === operand.type ? orEqual : others);
  }
  if (isNaNumber(operand)) return (value) => orEqual && value !== undefined && isNaNumber(value);
  const [sign, family] = [operator.startsWith('$lt') ? -1 : 1, bracket(operand)];
  return (value) => {
    if (!value || bracket(value) !== family) return false;
    const order = compare(value, operand);
    return (order === 0 ? orEqual : order === sign) && !isNaNumber(value);
  };
}

function membership(name: string, operand: Value): Predicate {
  if (operand.type !== T.ARRAY) throw new MongoError(2, '$in needs an array');
  const members = operand.fields.map(([, each]) => each);
  for (const each of members) {
    if (each.type === T.REGEX) throw new Refusal(2, 'regular expressions are not accepted in queries');
    refuseNull(name, each);
    if (isExpression(each)) throw new MongoError(2, `cannot nest $ under $in`);
  }
  const keys = new Set(members.map((each) => keyOf(each).toString('latin1')));
  const withNull = members.some((each) => each.type === T.NULL);
  return predicate(name, '$in', operand, 'elements', (value) => (value ? keys.has(keyOf(value).toString('latin1')) : withNull));
}

function size(name: string, operand: Value): Predicate {
  if (!operand.isNumber) throw new MongoError(9, `Failed to parse $size. Expected a number in: $size: ${operand.typeName}`);
  const wanted = operand.number;
  if (!Number.isInteger(wanted)) throw new MongoError(9, 'Failed to parse $size. Expected an integer');
  if (wanted < 0) throw new MongoError(9, 'Failed to parse $size. Expected a non-negative number');
  return predicate(name, '$size', operand, 'whole', (value) => value?.type === T.ARRAY && value.fields.length === wanted);
}

function elemMatch(name: string, operand: Value): Predicate {
  if (operand.type !== T.OBJECT) throw new MongoError(2, '$elemMatch needs an Object');
  const first = operand.fields[0]?.[0] ?? '';
  if (!first.startsWith('$') || first === '$and' || first === '$or' || first === '$nor') {
    const inner = parseFilter(operand);
    const fits = (each: Value): boolean =>
      (each.type === T.OBJECT || each.type === T.ARRAY) && matches(inner, new Value(T.OBJECT, each.bytes));
    return predicate(
      name,
      '$elemMatch',
      operand,
      'whole',
      (value) => value?.type === T.ARRAY && value.fields.some(([, each]) => fits(each)),
    );
  }
  const parts = operand.fields.map(([operator, each]) => parseOperator('(None)', operator, each));
  return predicate(
    name,
    '$elemMatch',
    operand,
    'whole',
    (value) => value?.type === T.ARRAY && value.fields.some(([, each]) => parts.every((part) => holds(part, each))),
  );
}

/** Whether a condition holds for one value itself. */
export function holds(filter: Filter, value: Value): boolean {
  if (filter.kind === 'predicate') return filter.test(value);
  const hold = (each: Filter): boolean => holds(each, value);
  return filter.kind === 'and' ? filter.of.every(hold) : filter.of.some(hold) !== (filter.kind === 'nor');
}
