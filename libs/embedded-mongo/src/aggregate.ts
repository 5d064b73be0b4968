import { accepts, use } from './accepted';
import { type Collection } from './collection';
import { MongoError, Refusal } from './errors';
import { keyOf } from './key';
import { type Found } from './plan';
import { queryOf, run } from './query';
import { add } from './update';
import { document, int, NULL, T, type Field, type Value } from './value';

/** The documents of a pipeline of `$match` and `$group`, each at most once and in this order. */
export function runPipeline(collection: Collection | undefined, stages: readonly Value[]): Iterator<Value> {
  if (stages.some(({ type }) => type !== T.OBJECT))
    throw new MongoError(14, "Each element of the 'pipeline' array must be an object");
  const parts = new Map(stages.map(stageOf));
  const [match, group] = [parts.get('$match'), parts.get('$group')];
  if (parts.size < stages.length || (match && [...parts.keys()][0] !== '$match')) {
    throw new Refusal(238, 'pipelines of more than $match and $group are not supported');
  }
  if (match && match.type !== T.OBJECT) throw new MongoError(15959, 'the match filter must be an expression in an object');
  const query = queryOf(match);
  const grouped = group ? groupOf(group) : documentsOf;
  return grouped(collection ? run(collection, query) : []);
}

function stageOf(stage: Value): Field {
  const [field, second] = stage.fields;
  if (!field || second) throw new MongoError(40323, 'A pipeline stage specification object must contain exactly one field.');
  if (!accepts('stage', field[0])) throw new Refusal(40324, `Unrecognized pipeline stage name: '${field[0]}'`);
  return field;
}

function* documentsOf(found: Iterable<Found>): Generator<Value> {
  for (const { doc } of found) yield doc;
}

/** `_id`: a constant or a field; the other fields: sums of a constant int. */
function groupOf(operand: Value): (found: Iterable<Found>) => Generator<Value> {
  if (operand.type !== T.OBJECT) throw new MongoError(15947, "a group's fields must be specified in an object");
  const steps = operand.fields.filter(([name]) => name !== '_id').map(sumOf);
  const id = operand.get('_id');
  if (!id) throw new MongoError(15955, 'a group specification must include an _id');
  const keyed = expression(id);
  return function* (found) {
    const groups = new Map<string, { id: Value; sums: Value[] }>();
    for (const { doc } of found) {
      const value = keyed(doc);
      const key = keyOf(value).toString('latin1');
      const group = groups.get(key) ?? { id: value, sums: steps.map(() => int(0)) };
      group.sums = group.sums.map((sum, at) => add(sum, steps[at]![1])!);
      groups.set(key, group);
    }
    for (const group of groups.values())
      yield document([['_id', group.id], ...group.sums.map((sum, at): Field => [steps[at]![0], sum])]);
  };
}

function sumOf([name, accumulator]: Field): Field {
  const [first, second] = accumulator.type === T.OBJECT ? accumulator.fields : [];
  if (!first || second || /[.$]/.test(name)) throw new Refusal(40238, `The field '${name}' must specify one accumulator`);
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
  if (name === '' || name.startsWith('$') || name.includes('.'))
    throw new Refusal(238, `the expression '${operand.text}' is not supported`);
  return (doc) => doc.get(name) ?? NULL;
}
