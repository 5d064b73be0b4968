import { ObjectId } from 'bson';
import { use } from './accepted';
import { MongoError, Refusal } from './errors';
import { conjuncts, type Filter } from './filter';
import { equal } from './key';
import { isOperator, makeModifier, type Modifier } from './modifiers';
import { renderField } from './render';
import { array, document, NULL, T, Value, type Field } from './value';

/** The paths of an update as a tree. */
type Branch = Map<string, Branch | Modifier>;

export type Update =
  { readonly kind: 'operators'; readonly tree: Branch } | { readonly kind: 'replacement'; readonly with: Value };

export const LARGEST_DOCUMENT = 16 * 1024 * 1024;

/** @throws MongoError as MongoDB's parser of updates does; pipelines are refused */
export function parseUpdate(update: Value, multi: boolean): Update {
  if (update.type === T.ARRAY) throw new Refusal(238, 'updates by pipeline are not supported');
  if (!update.fields[0]?.[0].startsWith('$')) {
    if (multi) throw new MongoError(9, 'multi update is not supported for replacement-style update');
    checkReplacement(update);
    return { kind: 'replacement', with: update };
  }
  const tree: Branch = new Map();
  for (const [operator, paths] of update.fields) {
    if (!isOperator(operator)) {
      throw new Refusal(
        9,
        `Unknown modifier: ${operator}. Expected a valid update modifier or pipeline-style update specified as an array`,
      );
    }
    use('update', operator);
    if (paths.type !== T.OBJECT) {
      throw new MongoError(
        9,
        `Modifiers operate on fields but we found type ${paths.typeName} instead. For example: {$mod: {<field>: ...}} not {${renderField([operator, paths])}}`,
      );
    }
    for (const field of paths.fields) graft(tree, checkPath(field[0]), makeModifier(operator, field));
  }
  return { kind: 'operators', tree };
}

function checkReplacement(replacement: Value, inserted = false): void {
  for (const [name, { type, bytes }] of replacement.fields) {
    if (name.startsWith('$') && !inserted) {
      throw new MongoError(
        52,
        `The dollar ($) prefixed field '${name}' in '${name}' is not allowed in the context of an update's replacement document. Consider using an aggregation pipeline with $replaceWith.`,
      );
    }
    if (type === T.TIMESTAMP && name !== '_id' && bytes.every((byte) => byte === 0)) {
      throw new Refusal(2, 'an empty timestamp, for the server to fill in, is not supported');
    }
  }
}

/** For a document to be inserted: its `_id` first, made if there is none. */
export function prepareInsert(doc: Value): Value {
  if (doc.length > LARGEST_DOCUMENT) {
    throw new MongoError(10334, `object to insert too large. size in bytes: ${doc.length}, max size: ${LARGEST_DOCUMENT}`);
  }
  checkReplacement(doc, true);
  const id = doc.get('_id');
  if (id) checkId(id);
  return withIdFirst(doc);
}

function checkId(id: Value): void {
  if (id.type === T.ARRAY || id.type === T.REGEX || id.type === T.UNDEFINED) {
    throw new MongoError(53, `The '_id' value cannot be of type ${id.typeName}`);
  }
  if (id.type === T.OBJECT) {
    for (const [name, each] of id.fields) {
      if (name.startsWith('$'))
        throw new MongoError(52, `_id fields may not contain '$'-prefixed fields: ${name} is not valid for storage.`);
      if (each.type === T.OBJECT) checkId(each);
    }
  }
}

function withIdFirst(doc: Value): Value {
  if (doc.fields[0]?.[0] === '_id') return doc;
  const id = doc.get('_id') ?? new Value(T.OBJECT_ID, Buffer.from(new ObjectId().id));
  return document([['_id', id], ...doc.fields.filter(([name]) => name !== '_id')]);
}

function checkPath(path: string): readonly string[] {
  if (path === '') throw new MongoError(56, 'An empty update path is not valid.');
  const parts = path.split('.');
  for (const part of parts) {
    if (part === '') throw new MongoError(56, `The update path '${path}' contains an empty field name, which is not allowed.`);
    if (/^0\d+$/.test(part)) throw new Refusal(2, `an index with leading zeros, as in '${path}', is not supported`);
    if (part === '$' || part.startsWith('$[')) throw new Refusal(2, `The positional operator in '${path}' is not supported.`);
    if (part.startsWith('$'))
      throw new MongoError(52, `The dollar ($) prefixed field '${part}' in '${path}' is not valid for storage.`);
  }
  return parts;
}

function graft(tree: Branch, parts: readonly string[], modifier: Modifier): void {
  let branch = tree;
  parts.forEach((part, at) => {
    const found = branch.get(part);
    const last = at === parts.length - 1;
    if (found && (last || !(found instanceof Map))) {
      const [path, where] = [parts.join('.'), parts.slice(0, at + 1).join('.')];
      throw new MongoError(40, `Updating the path '${path}' would create a conflict at '${where}'`);
    }
    if (last) branch.set(part, modifier);
    else branch.set(part, (branch = found instanceof Map ? found : new Map<string, Branch | Modifier>()));
  });
}

/**
 * The document after the update; the same object when nothing changes. (A replacement changes it unless it is the very document,
 * `_id` included, or both hold nothing.)
 * @throws MongoError 66 when `_id` would change, 28 for a path through what holds no fields, and those of the operators
 */
export function applyUpdate(update: Update, doc: Value): Value {
  if (update.kind === 'replacement') {
    const id = update.with.get('_id');
    if (id) checkId(id);
    const same = update.with.same(doc) || (update.with.fields.length === 0 && doc.fields.length === 1);
    return same ? doc : checked(replace(doc, update.with));
  }
  const after = applyTree(update.tree, doc, { document: doc, inserting: false }, []);
  return after === doc ? doc : checked(after);
}

function checked(after: Value): Value {
  if (after.length > LARGEST_DOCUMENT)
    throw new MongoError(17419, `Resulting document after update is larger than ${LARGEST_DOCUMENT}`);
  return after;
}

function replace(doc: Value, replacement: Value): Value {
  const [id, wanted] = [doc.get('_id'), replacement.get('_id')];
  if (id && wanted && !equal(id, wanted)) {
    throw new MongoError(
      66,
      `After applying the update, the (immutable) field '_id' was found to have been altered to ${renderField(['_id', wanted])}`,
    );
  }
  return wanted || !id ? withIdFirst(replacement) : document([['_id', id], ...replacement.fields]);
}

/**
 * The document that an upsert inserts: the equalities of the query, then the update.
 * @throws MongoError 54 when the query names a path twice
 */
export function upsertDocument(update: Update, filter: Filter): Value {
  if (!isPlain(filter)) throw new Refusal(238, 'an upsert is supported with a query of equalities, ranges, $exists and $ne');
  const equalities = conjuncts(filter).filter(({ operator }) => operator === '$eq');
  if (update.kind === 'replacement') {
    const id = equalities.find(({ name }) => name === '_id')?.operand;
    return prepareInsert(id ? replace(document([['_id', id]]), update.with) : update.with);
  }
  const tree: Branch = new Map();
  for (const { name, operand } of equalities) {
    try {
      graft(tree, name.split('.'), makeModifier('$set', [name, operand]));
    } catch (error) {
      if (!(error instanceof MongoError) || error.code !== 40) throw error;
      throw new MongoError(54, `cannot infer query fields to set, path '${name}' is matched twice`);
    }
  }
  const empty = document([]);
  const seed = applyTree(tree, empty, { document: empty, inserting: true }, []);
  return checked(prepareInsert(applyTree(update.tree, seed, { document: seed, inserting: true }, [])));
}

const UPSERTABLE: ReadonlySet<string> = new Set(['$eq', '$gt', '$gte', '$lt', '$lte', '$exists']);

/** MongoDB takes the equalities from the query as its optimizer leaves it; of these conditions it leaves all as they stand. */
function isPlain(filter: Filter): boolean {
  if (filter.kind === 'predicate') return UPSERTABLE.has(filter.operator) && !filter.name.startsWith('_id.');
  if (filter.kind === 'and') return filter.of.every(isPlain);
  return filter.kind === 'nor' && filter.of.every((each) => each.kind === 'predicate' && isPlain(each));
}

interface Run {
  readonly document: Value;
  readonly inserting: boolean;
}

/** MongoDB applies an update's paths, and appends new fields, in this order: numbers by value, the rest as text. */
function inOrder(branch: Branch): readonly (readonly [string, Branch | Modifier])[] {
  return [...branch].sort(([a], [b]) => {
    if (/^\d+$/.test(a) && /^\d+$/.test(b))
      return a.length === b.length ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : a.length - b.length;
    return Buffer.compare(Buffer.from(a), Buffer.from(b));
  });
}

const INDEX = /^\d+$/;
const MOST_PADDING = 1_500_000;

function applyTree(branch: Branch, container: Value, run: Run, at: readonly string[]): Value {
  const fields: Field[] = [...container.fields];
  let changed = false;
  for (const [name, child] of inOrder(branch)) {
    const path = [...at, name];
    if (container.type === T.ARRAY && !INDEX.test(name)) {
      blocked(child, array(fields.map(([, each]) => each)), run, path, path.length - 1);
      continue;
    }
    const place = container.type === T.ARRAY ? Number(name) : fields.findIndex((field) => field[0] === name);
    const before = fields[place]?.[1];
    const after = before ? change(child, before, run, path) : create(child, run, path);
    if (after === before) continue;
    changed = true;
    if (container.type !== T.ARRAY) {
      if (!after) fields.splice(place, 1);
      else if (before) fields[place] = [name, after];
      else fields.push([name, after]);
    } else {
      if (place - fields.length > MOST_PADDING) throw new MongoError(34, `can't backfill more than ${MOST_PADDING} elements`);
      while (fields.length < place) fields.push(['', NULL]);
      fields[place] = ['', after ?? NULL];
    }
  }
  if (!changed) return container;
  return container.type === T.ARRAY ? array(fields.map(([, each]) => each)) : document(fields);
}

function change(child: Branch | Modifier, before: Value, run: Run, path: readonly string[]): Value | undefined {
  if (!(child instanceof Map)) {
    if (child.insertOnly && !run.inserting) return before;
    const after = child.apply(before, path.join('.'), run.document);
    if (path[0] === '_id' && after !== before) throw immutable(path);
    return after;
  }
  if (before.type === T.OBJECT || before.type === T.ARRAY) return applyTree(child, before, run, path);
  for (const [name, each] of inOrder(child)) blocked(each, before, run, [...path, name], path.length);
  return before;
}

function immutable(path: readonly string[]): MongoError {
  return new MongoError(66, `Performing an update on the path '${path.join('.')}' would modify the immutable field '_id'`);
}

function create(child: Branch | Modifier, run: Run, path: readonly string[]): Value | undefined {
  if (!(child instanceof Map)) {
    if (!child.creates || (child.insertOnly && !run.inserting)) return undefined;
    if (path[0] === '_id' && path.length > 1 && run.document.get('_id')) throw immutable(path);
    return child.apply(undefined, path.join('.'), run.document);
  }
  const fields = inOrder(child).flatMap(([name, each]): readonly Field[] => {
    const made = create(each, run, [...path, name]);
    return made ? [[name, made]] : [];
  });
  return fields.length ? document(fields) : undefined;
}

/** A path whose part `depth` the value before it cannot have: an error for those that would make it, nothing for $unset. */
function blocked(child: Branch | Modifier, value: Value, run: Run, path: readonly string[], depth: number): void {
  if (child instanceof Map) {
    for (const [name, each] of inOrder(child)) blocked(each, value, run, [...path, name], depth);
    return;
  }
  if (child.operator === '$unset' || (child.insertOnly && !run.inserting)) return;
  const [part, element] = [path[depth]!, renderField([path[depth - 1]!, value])];
  if (child.creates) throw new MongoError(28, `Cannot create field '${part}' in element {${element}}`);
  throw new MongoError(28, `Cannot use the part (${part}) of (${path.join('.')}) to traverse the element ({${element}})`);
}
