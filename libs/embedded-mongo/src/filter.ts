import { accepts } from './accepted';
import { MongoError, Refusal } from './errors';
import { bracket, compare, equal, keyOf } from './key';
import { anyAt, pathOf, type Path } from './path';
import { T, type Value } from './value';

/** One condition on one path; `test` looks at one value, as if no array stood around it. */
export interface Predicate {
  readonly kind: 'predicate';
  readonly name: string;
  readonly path: Path;
  readonly operator: '$eq' | '$lt' | '$lte' | '$gt' | '$gte' | '$in' | '$exists';
  readonly operand: Value;
  readonly test: (value: Value | undefined) => boolean;
}

export type Filter = Predicate | { readonly kind: 'and' | 'or' | 'nor'; readonly of: readonly Filter[] };

export function matches(filter: Filter, document: Value): boolean {
  if (filter.kind === 'predicate')
    return anyAt(document, filter.path, filter.operator === '$exists' ? 'whole' : 'elements', filter.test);
  if (filter.kind === 'and') return filter.of.every((each) => matches(each, document));
  return filter.of.some((each) => matches(each, document)) === (filter.kind === 'or');
}

/** The conditions that all must hold: what an index can serve, and what an upsert takes its fields from. */
export function conjuncts(filter: Filter): readonly Predicate[] {
  if (filter.kind === 'predicate') return [filter];
  return filter.kind === 'and' ? filter.of.flatMap(conjuncts) : [];
}

/** @throws MongoError 2 (BadValue) for whatever is not accepted */
export function parseFilter(query: Value): Filter {
  const of = query.fields.flatMap(([name, operand]): readonly Filter[] => {
    if (!name.startsWith('$')) return parsePath(name, operand);
    if (!accepts('query', name)) throw new Refusal(2, `unknown top level operator: ${name}.`);
    return [parseOr(operand)];
  });
  return of.length === 1 ? of[0]! : { kind: 'and', of };
}

function parseOr(operand: Value): Filter {
  if (operand.type !== T.ARRAY) throw new MongoError(2, '$or must be an array');
  if (operand.fields.length === 0) throw new MongoError(2, '$and/$or/$nor must be a nonempty array');
  const parts = operand.items;
  if (parts.some(({ type }) => type !== T.OBJECT)) throw new MongoError(2, '$or/$and/$nor entries need to be full objects');
  return { kind: 'or', of: parts.map(parseFilter) };
}

/** Whether `{a: operand}` holds operators rather than a value to be equal to. */
function isExpression(operand: Value): boolean {
  return operand.type === T.OBJECT && (operand.fields[0]?.[0].startsWith('$') ?? false);
}

function parsePath(name: string, operand: Value): readonly Filter[] {
  if (!isExpression(operand)) return [predicate(name, '$eq', operand)];
  return operand.fields.map(([operator, each]) => parseOperator(name, operator, each));
}

function parseOperator(name: string, operator: string, operand: Value): Filter {
  if (operator === '$or' || !accepts('query', operator)) throw new Refusal(2, `unknown operator: ${operator}`);
  switch (operator) {
    case '$ne':
      if (operand.type === T.REGEX) throw new MongoError(2, "Can't have regex as arg to $ne.");
      return { kind: 'nor', of: [predicate(name, '$eq', operand)] };
    case '$exists': {
      const exists = predicate(name, '$exists', operand);
      return operand.truthy ? exists : { kind: 'nor', of: [exists] };
    }
    case '$in':
      if (operand.type !== T.ARRAY) throw new MongoError(2, '$in needs an array');
      if (operand.items.some(isExpression)) throw new Refusal(2, 'cannot nest $ under $in');
      return predicate(name, operator, operand);
    default:
      if (operand.type === T.REGEX)
        throw new MongoError(2, `Can't have RegEx as arg to non-equality predicate over field '${name}'.`);
      return predicate(name, operator as Predicate['operator'], operand);
  }
}

const MISSING: ReadonlySet<number> = new Set([T.NULL, T.MIN_KEY, T.MAX_KEY]);

function predicate(name: string, operator: Predicate['operator'], operand: Value): Predicate {
  for (const each of operator === '$in' ? operand.items : [operand]) {
    if (each.type === T.REGEX) throw new Refusal(2, 'regular expressions are not accepted in queries');
    // What is found missing behind an array differs between MongoDB 7 and 9, and these look for it.
    if (MISSING.has(each.type) && operator !== '$exists' && name.includes('.')) {
      throw new Refusal(2, `${each.typeName} is not accepted for the dotted path '${name}'`);
    }
  }
  return { kind: 'predicate', name, path: pathOf(name, 2), operator, operand, test: testOf(operator, operand) };
}

function testOf(operator: Predicate['operator'], operand: Value): Predicate['test'] {
  const orEqual = operator.endsWith('e') || operator === '$eq';
  if (operator === '$exists') return (value) => value !== undefined;
  if (operator === '$in') return oneOf(operand.items);
  if (operand.type === T.NULL) return (value) => orEqual && (!value || value.type === T.NULL);
  if (operator === '$eq') return (value) => value !== undefined && equal(value, operand);
  const sign = operator.startsWith('$lt') ? -1 : 1;
  if (operand.type === T.MIN_KEY || operand.type === T.MAX_KEY) {
    const others = (operand.type === T.MAX_KEY) === sign < 0;
    return (value) => (value?.type === operand.type ? orEqual : others);
  }
  if (isNaNumber(operand)) return (value) => orEqual && value !== undefined && isNaNumber(value);
  const family = bracket(operand);
  return (value) => {
    if (!value || bracket(value) !== family) return false;
    const order = compare(value, operand);
    return (order === 0 ? orEqual : order === sign) && !isNaNumber(value);
  };
}

function oneOf(members: readonly Value[]): Predicate['test'] {
  const keys = new Set(members.map((each) => keyOf(each).toString('latin1')));
  const withNull = members.some((each) => each.type === T.NULL);
  return (value) => (value ? keys.has(keyOf(value).toString('latin1')) : withNull);
}

/** NaN is no less and no greater than any number. */
export function isNaNumber(value: Value): boolean {
  return (value.type === T.DOUBLE || value.type === T.DECIMAL) && keyOf(value)[1] === 1;
}
