import { ObjectId } from 'bson';
import { accepts } from './accepted';
import { MongoError, Refusal } from './errors';
import { conjuncts, type Filter } from './filter';
import { compare } from './key';
import { pathOf } from './path';
import { render, renderField } from './render';
import { document, double, int, long, T, Value, type Field } from './value';

/** What an update does to one path. */
interface Modifier {
  /** Also makes a field that is not there. */
  readonly creates: boolean;
  readonly insertOnly: boolean;
  /**
   * @param before the present value; undefined: there is none
   * @returns the new value; undefined takes the field away; `before` itself leaves all as it is
   */
  apply(before: Value | undefined, name: string, document: Value): Value | undefined;
}

/** The paths of an update as a tree. */
export type Update = Map<string, Update | Modifier>;

const LARGEST_DOCUMENT = 16 * 1024 * 1024;

/** @throws MongoError as MongoDB's parser of updates does; pipelines and replacements are refused */
export function parseUpdate(update: Value): Update {
  if (update.type !== T.OBJECT && update.type !== T.ARRAY)
    throw new MongoError(9, 'Update argument must be either an object or an array');
  if (!update.fields[0]?.[0].startsWith('$')) throw new Refusal(238, 'updates by pipeline and by replacement are not supported');
  const tree: Update = new Map();
  for (const [operator, paths] of update.fields) {
    if (!accepts('update', operator)) throw new Refusal(9, `Unknown modifier: ${operator}.`);
    if (paths.type !== T.OBJECT) {
      const text = `Modifiers operate on fields but we found type ${paths.typeName} instead. For example: {$mod: {<field>: ...}} not {`;
      throw new MongoError(9, `${text}${renderField([operator, paths])}}`);
    }
    for (const field of paths.fields) graft(tree, pathOf(field[0], 2), modifier(operator, field));
  }
  return tree;
}

function modifier(operator: string, [path, operand]: Field): Modifier {
  const flags = { creates: operator !== '$unset', insertOnly: operator === '$setOnInsert' };
  if (operator === '$unset') return { ...flags, apply: () => undefined };
  if (operator === '$max') return { ...flags, apply: (before) => (before && compare(operand, before) <= 0 ? before : operand) };
  if (operator !== '$inc') return { ...flags, apply: (before) => (before?.same(operand) ? before : operand) };
  if (!operand.isNumber)
    throw new MongoError(14, `Cannot increment with non-numeric argument: {${renderField([path, operand])}}`);
  return { ...flags, apply: (before, name, doc) => (before ? increase(before, operand, name, doc) : operand) };
}

function increase(before: Value, by: Value, name: string, doc: Value): Value {
  const id = doc.get('_id');
  const where = `{${id ? renderField(['_id', id]) : 'no id'}}`;
  if (!before.isNumber) {
    throw new MongoError(
      14,
      `Cannot apply $inc to a value of non-numeric type. ${where} has the field '${name}' of non-numeric type ${before.typeName}`,
    );
  }
  if (before.type === T.DECIMAL || by.type === T.DECIMAL) throw new Refusal(238, '$inc of decimals is not supported');
  const sum = add(before, by);
  if (!sum) {
    const type = before.type === T.INT ? 'NumberInt' : 'NumberLong';
    throw new MongoError(
      2,
      `Failed to apply $inc operations to current value ((${type})${render(before)}) for document ${where}`,
    );
  }
  // As numbers: NaN changes to NaN, and -0 does not change to 0.
  const unchanged = sum.type === before.type && (sum.type === T.DOUBLE ? sum.number === before.number : sum.same(before));
  return unchanged ? before : sum;
}

/** int + int widens to long when it must; undefined: beyond a long. */
export function add(a: Value, b: Value): Value | undefined {
  if (a.type === T.DOUBLE || b.type === T.DOUBLE) return double(a.number + b.number);
  const sum = a.bigint + b.bigint;
  if (BigInt.asIntN(64, sum) !== sum) return undefined;
  return a.type === T.INT && b.type === T.INT && BigInt.asIntN(32, sum) === sum ? int(Number(sum)) : long(sum);
}

function graft(tree: Update, parts: readonly string[], modifier: Modifier): void {
  let branch = tree;
  parts.forEach((part, at) => {
    const found = branch.get(part);
    const last = at === parts.length - 1;
    if (found && (last || !(found instanceof Map))) {
      throw new MongoError(
        40,
        `Updating the path '${parts.join('.')}' would create a conflict at '${parts.slice(0, at + 1).join('.')}'`,
      );
    }
    const next = last ? modifier : ((found ?? new Map()) as Update);
    branch.set(part, next);
    if (next instanceof Map) branch = next;
  });
}

/**
 * The document after the update; the same object when nothing changes.
 * @throws MongoError 66 when `_id` would change, 28 for a path through what holds no fields, and those of the operators
 */
export function applyUpdate(update: Update, doc: Value): Value {
  return checkSize(apply(update, doc, { document: doc, inserting: false }, [])!);
}

function checkSize(doc: Value): Value {
  if (doc.length > LARGEST_DOCUMENT)
    throw new MongoError(17419, `Resulting document after update is larger than ${LARGEST_DOCUMENT}`);
  return doc;
}

/** For a document to be inserted: its `_id` first, made if there is none. */
export function prepareInsert(doc: Value): Value {
  if (doc.length > LARGEST_DOCUMENT) {
    throw new MongoError(10334, `object to insert too large. size in bytes: ${doc.length}, max size: ${LARGEST_DOCUMENT}`);
  }
  for (const [name, { type, bytes }] of doc.fields) {
    if (type === T.TIMESTAMP && name !== '_id' && bytes.every((byte) => byte === 0)) {
      throw new Refusal(238, 'an empty timestamp, for the server to fill in, is not supported');
    }
  }
  const id = doc.get('_id') ?? new Value(T.OBJECT_ID, Buffer.from(new ObjectId().id));
  if (id.type === T.ARRAY || id.type === T.REGEX) throw new MongoError(53, `The '_id' value cannot be of type ${id.typeName}`);
  checkNames(id);
  return doc.fields[0]?.[0] === '_id' ? doc : document([['_id', id], ...doc.fields.filter(([name]) => name !== '_id')]);
}

function checkNames(id: Value): void {
  if (id.type !== T.OBJECT) return;
  for (const [name, each] of id.fields) {
    if (name.startsWith('$'))
      throw new MongoError(52, `_id fields may not contain '$'-prefixed fields: ${name} is not valid for storage.`);
    checkNames(each);
  }
}

const UPSERTABLE: ReadonlySet<string> = new Set(['$eq', '$gt', '$gte', '$lt', '$lte', '$exists']);

/** MongoDB takes the equalities from the query as its optimizer leaves it; of these conditions it leaves all as they stand. */
function isPlain(filter: Filter): boolean {
  if (filter.kind === 'predicate') return UPSERTABLE.has(filter.operator) && !filter.name.startsWith('_id.');
  return filter.kind !== 'or' && filter.of.every(isPlain);
}

/**
 * The document that an upsert inserts: the equalities of the query, then the update.
 * @throws MongoError 54 when the query names a path twice
 */
export function upsertDocument(update: Update, filter: Filter): Value {
  if (!isPlain(filter)) throw new Refusal(238, 'an upsert is supported with a query of equalities, ranges, $exists and $ne');
  const tree: Update = new Map();
  for (const { name, operator, operand } of conjuncts(filter)) {
    if (operator !== '$eq') continue;
    try {
      graft(tree, pathOf(name, 2), modifier('$set', [name, operand]));
    } catch {
      throw new MongoError(54, `cannot infer query fields to set, path '${name}' is matched twice`);
    }
  }
  const empty = document([]);
  const seed = apply(tree, empty, { document: empty, inserting: true }, [])!;
  return checkSize(prepareInsert(apply(update, seed, { document: seed, inserting: true }, [])!));
}

interface Run {
  readonly document: Value;
  readonly inserting: boolean;
}

/** MongoDB applies an update's paths, and appends new fields, in this order. */
function inOrder(branch: Update): readonly (readonly [string, Update | Modifier])[] {
  return [...branch].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** What is at `path` after the update; undefined: nothing, `before` itself: no change. */
function apply(branch: Update | Modifier, before: Value | undefined, run: Run, path: readonly string[]): Value | undefined {
  if (!(branch instanceof Map)) return modify(branch, before, run, path);
  if (before && before.type !== T.OBJECT) return block(branch, before, run, path);
  const fields: Field[] = [...(before?.fields ?? [])];
  let changed = false;
  for (const [name, child] of inOrder(branch)) {
    const place = fields.findIndex((field) => field[0] === name);
    const old = fields[place]?.[1];
    const after = apply(child, old, run, [...path, name]);
    if (after === old) continue;
    changed = true;
    if (after) fields[old ? place : fields.length] = [name, after];
    else fields.splice(place, 1);
  }
  return changed ? document(fields) : before;
}

function modify(modifier: Modifier, before: Value | undefined, run: Run, path: readonly string[]): Value | undefined {
  if (before ? !applies(modifier, run) : !makes(modifier, run)) return before;
  const after = modifier.apply(before, path.at(-1)!, run.document);
  if (path[0] === '_id' && after !== before && run.document.get('_id'))
    throw new MongoError(66, `Performing an update on the path '${path.join('.')}' would modify the immutable field '_id'`);
  return after;
}

function applies({ insertOnly }: Modifier, { inserting }: Run): boolean {
  return inserting || !insertOnly;
}

function makes(branch: Update | Modifier, run: Run): boolean {
  return branch instanceof Map ? [...branch.values()].some((each) => makes(each, run)) : branch.creates && applies(branch, run);
}

/** `value` can have no fields: an error for what would make one, nothing for $unset. */
function block(branch: Update, value: Value, run: Run, path: readonly string[]): Value {
  const made = inOrder(branch).find(([, child]) => makes(child, run));
  if (!made) return value;
  throw new MongoError(28, `Cannot create field '${made[0]}' in element {${renderField([path.at(-1)!, value])}}`);
}
