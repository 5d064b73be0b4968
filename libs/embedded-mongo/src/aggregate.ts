import { use } from './accepted';
import { type Collection } from './collection';
import { MongoError, Refusal } from './errors';
import { parseFilter, matches } from './filter';
import { type KeyField } from './index-keys';
import { keyOf } from './key';
import { add } from './modifiers';
import { ALL, parseSort, run, slice, sorted, type Query } from './query';
import { document, int, NULL, T, type Field, type Value } from './value';

type Stage = (documents: Iterable<Value>) => Iterable<Value>;

/** The documents that a pipeline yields; what its first stages ask of the collection is asked through the indexes. */
export function runPipeline(collection: Collection | undefined, pipeline: readonly Value[]): Iterable<Value> {
  const stages = pipeline.map(stageOf);
  const query: Query & { sort: readonly KeyField[] } = { filter: parseFilter(ALL), sort: [], skip: 0, limit: 0 };
  let first = 0;
  const leading = stages[0];
  const from: Query = leading?.filter ? { ...query, filter: leading.filter } : query;
  if (leading?.filter) first = 1;
  const following = stages[first];
  const ordered: Query = following?.sort ? { ...from, sort: following.sort } : from;
  if (following?.sort) first++;
  let documents: Iterable<Value> = collection ? documentsOf(collection, ordered) : [];
  for (const { apply } of stages.slice(first)) documents = apply(documents);
  return documents;
}

function* documentsOf(collection: Collection, query: Query): Generator<Value> {
  for (const { doc } of run(collection, query)) yield doc;
}

interface Parsed {
  readonly apply: Stage;
  readonly filter?: ReturnType<typeof parseFilter>;
  readonly sort?: readonly KeyField[];
}

function stageOf(stage: Value): Parsed {
  if (stage.type !== T.OBJECT) throw new MongoError(14, "Each element of the 'pipeline' array must be an object");
  const [field, second] = stage.fields;
  if (!field || second) throw new MongoError(40323, 'A pipeline stage specification object must contain exactly one field.');
  const [name, operand] = field;
  const parse = STAGES[name];
  if (!parse) throw new Refusal(40324, `Unrecognized pipeline stage name: '${name}'`);
  use('stage', name);
  return parse(operand);
}

const STAGES: Readonly<Record<string, (operand: Value) => Parsed>> = {
  $match: (operand) => {
    if (operand.type !== T.OBJECT) throw new MongoError(15959, 'the match filter must be an expression in an object');
    const filter = parseFilter(operand);
    return { filter, apply: (documents) => where(documents, (doc) => matches(filter, doc)) };
  },
  $sort: (operand) => {
    if (operand.type !== T.OBJECT) throw new MongoError(15973, 'the $sort key specification must be an object');
    if (operand.fields.length === 0) throw new MongoError(15976, '$sort stage must have at least one sort key');
    const sort = parseSort(operand);
    return { sort, apply: (documents) => sorted(documents, sort, Infinity, (doc) => doc) };
  },
  $skip: (operand) => {
    const skip = whole('$skip', operand, 5107200);
    return { apply: (documents) => slice(documents, { skip, limit: 0 }) };
  },
  $limit: (operand) => {
    const limit = whole('$limit', operand, 5107201);
    if (limit === 0) throw new MongoError(15958, 'the limit must be positive');
    return { apply: (documents) => slice(documents, { skip: 0, limit }) };
  },
  $group: (operand) => {
    const group = groupOf(operand);
    return { apply: group };
  },
};

function* where(documents: Iterable<Value>, test: (doc: Value) => boolean): Generator<Value> {
  for (const doc of documents) if (test(doc)) yield doc;
}

function whole(stage: string, operand: Value, code: number): number {
  const problem = (text: string): MongoError => new MongoError(code, `invalid argument to ${stage} stage: ${text} in: ${stage}`);
  if (!operand.isNumber || operand.type === T.DECIMAL) throw problem('Expected a number');
  if (!Number.isSafeInteger(operand.number)) throw problem('Expected an integer');
  if (operand.number < 0) throw problem('Expected a non-negative number');
  return operand.number;
}

/** `_id` a constant or one path, and sums of a constant int. */
function groupOf(operand: Value): Stage {
  if (operand.type !== T.OBJECT) throw new MongoError(15947, "a group's fields must be specified in an object");
  const id = operand.get('_id');
  if (!id) throw new MongoError(15955, 'a group specification must include an _id');
  const keyed = expression(id);
  const sums = operand.fields.filter(([name]) => name !== '_id').map(sumOf);
  return function* (documents) {
    const groups = new Map<string, { id: Value; sums: Value[] }>();
    for (const doc of documents) {
      const value = keyed(doc);
      const key = keyOf(value).toString('latin1');
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { id: value, sums: sums.map(() => int(0)) }));
      group.sums = group.sums.map((sum, at) => add(sum, sums[at]![1])!);
    }
    for (const group of groups.values()) {
      yield document([['_id', group.id], ...group.sums.map((sum, at): Field => [sums[at]![0], sum])]);
    }
  };
}

function sumOf([name, accumulator]: Field): Field {
  if (name.includes('.')) throw new MongoError(40235, `The field name '${name}' cannot contain '.'`);
  if (name.startsWith('$')) throw new MongoError(40236, `The field name '${name}' cannot be an operator name`);
  if (accumulator.type !== T.OBJECT) throw new MongoError(40234, `The field '${name}' must be an accumulator object`);
  const [first, second] = accumulator.fields;
  if (!first || second) throw new MongoError(40238, `The field '${name}' must specify one accumulator`);
  if (first[0] !== '$sum') throw new Refusal(15952, `unknown group operator '${first[0]}'`);
  use('accumulator', '$sum');
  if (first[1].type !== T.INT) throw new Refusal(238, '$sum of anything but an int constant is not supported');
  return [name, first[1]];
}

/** A constant number, string, bool or null, or a field of the document itself. */
function expression(operand: Value): (doc: Value) => Value {
  if (operand.type === T.OBJECT || operand.type === T.ARRAY) throw new Refusal(238, 'this expression in $group is not supported');
  if (operand.type !== T.STRING || !operand.text.startsWith('$')) return () => operand;
  const name = operand.text.slice(1);
  if (name === '' || name.startsWith('$') || name.includes('.')) throw new Refusal(238, `the expression '${operand.text}' is not supported`);
  return (doc) => doc.get(name) ?? NULL;
}
