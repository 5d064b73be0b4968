import fc from 'fast-check';
import { ACCEPTED } from '../src/accepted';
import { array, document, int, T, value, type Field, type Plain, type Value } from '../src/value';
import { anyValue, at, doc, flatPath, id, likely, number, path, small } from './arbitraries';

/** A command without its collection and database, which the run adds. */
export interface Command {
  readonly name: string;
  readonly argument?: Value;
  readonly fields: readonly Field[];
  /** Malformed on purpose, perhaps in two ways. */
  readonly odd?: true;
}

const object = (fields: readonly Field[]): Value => document(fields);
const fieldsOf = (plain: Readonly<Record<string, Plain>>): readonly Field[] => value(plain).fields;

const operator: fc.Arbitrary<Field> = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constantFrom('$gt', '$gte', '$lt', '$lte', '$ne'), likely) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('$in'), fc.array(likely, { maxLength: 3 }).map(array)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('$exists'), fc.constantFrom(value(true), value(false), int(1), int(0))) },
);

const operators = fc.uniqueArray(operator, { selector: ([name]) => name, minLength: 1, maxLength: 2 }).map(object);
const condition: fc.Arbitrary<Value> = fc.oneof({ weight: 1, arbitrary: likely }, { weight: 2, arbitrary: operators });

const { filter } = fc.letrec<{ filter: Value; part: Field }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 3 },
    { weight: 5, arbitrary: fc.tuple(fc.oneof(path, flatPath), condition) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('$or'), fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map(array)) },
  ),
  filter: fc.uniqueArray(tie('part'), { selector: ([name]) => name, maxLength: 3 }).map(object),
}));

const byId = id.map((each) => value({ _id: each }));
const anyFilter = fc.oneof({ weight: 3, arbitrary: filter }, { weight: 1, arbitrary: byId });

const sortPath = fc.oneof({ weight: 8, arbitrary: flatPath }, { weight: 1, arbitrary: fc.constantFrom('a', 'b', 'a.b') });
const direction = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom(int(1), int(-1)) },
  { weight: 1, arbitrary: fc.constantFrom<Plain>(1.5, 2, -1n, new Date(1), 'x').map(value) },
);
const sort = fc.uniqueArray(fc.tuple(sortPath, direction), { selector: ([name]) => name, maxLength: 2 });
/** Ends in `_id`, so that there is one right order. */
const fullSort = fc.tuple(sort, direction).map(([some, last]) => object([...some, ['_id', last]]));

const projection = fc
  .tuple(
    fc.uniqueArray(fc.constantFrom('a', 'b', 'c', '0'), { maxLength: 2 }),
    fc.constantFrom(int(1), int(0), value(true), value(false), value(1.5)),
    fc.option(fc.constantFrom(int(1), int(0))),
  )
  .map(([names, show, withId]) =>
    object([...names.map((each): Field => [each, show]), ...(withId ? [['_id', withId] as Field] : [])]),
  );

const option = <Each>(name: string, of: fc.Arbitrary<Each>): fc.Arbitrary<readonly Field[]> =>
  fc.option(of).map((each) => (each === null ? [] : [[name, each as Value]]));

const count = fc.integer({ min: 0, max: 4 }).map(int);

const find: fc.Arbitrary<Command> = fc.oneof(
  fc
    .tuple(
      anyFilter,
      fullSort,
      option('projection', projection),
      option('limit', count),
      option('batchSize', count),
      option('singleBatch', fc.boolean().map(value)),
    )
    .map(([by, order, ...rest]): Command => ({ name: 'find', fields: [['filter', by], ['sort', order], ...rest.flat()] })),
  // Without a full order none is left out: which is not defined.
  fc
    .tuple(anyFilter, option('batchSize', count))
    .map(([by, size]): Command => ({ name: 'find', fields: [['filter', by], ...size] })),
  fc.tuple(anyFilter, sort.map(object)).map(([by, order]) => ({ name: 'find', fields: fieldsOf({ filter: by, sort: order }) })),
);

const groupKey = fc.constantFrom<Plain>('$a', '$b', '$d', '$_id', null, 1, 'x');
const aggregate: fc.Arbitrary<Command> = fc.tuple(anyFilter, fc.option(groupKey)).map(([by, key]) => ({
  name: 'aggregate',
  fields: fieldsOf({
    pipeline: [{ $match: by }, ...(key === null ? [] : [{ $group: { _id: key, n: { $sum: 1 }, m: { $sum: 2147483647 } } }])],
    cursor: { batchSize: 2 },
  }),
}));

const insert: fc.Arbitrary<Command> = fc
  .tuple(fc.array(doc, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([documents, ordered]) => ({ name: 'insert', fields: fieldsOf({ documents, ordered }) }));

const binaryNumber = number.filter(({ type }) => type !== T.DECIMAL);
const amount = fc.oneof(
  { weight: 12, arbitrary: small },
  { weight: 6, arbitrary: binaryNumber },
  { weight: 1, arbitrary: anyValue },
);
const modifier: fc.Arbitrary<readonly [string, Field]> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('$set', '$set', '$setOnInsert', '$max', '$unset'), at) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('$inc'), fc.tuple(fc.oneof(path, flatPath), amount)) },
);

const operation: fc.Arbitrary<Value> = fc
  .uniqueArray(modifier, { selector: ([operator, [name]]) => `${operator} ${name}`, minLength: 1, maxLength: 4 })
  .map((parts) => {
    const byOperator = new Map<string, Field[]>();
    for (const [operator, field] of parts) byOperator.set(operator, [...(byOperator.get(operator) ?? []), field]);
    return object([...byOperator].map(([operator, fields]) => [operator, object(fields)]));
  });

/** One equality beside `_id`: in which order MongoDB 9.0 sets several is chance. */
const upsertFilter = fc
  .tuple(id, fc.option(fc.oneof(fc.tuple(path, condition), at)))
  .map(([_id, more]) => object([['_id', _id], ...(more && more[0] !== '_id' ? [more] : [])]));

const change: fc.Arbitrary<Value> = fc
  .tuple(
    fc.oneof(fc.tuple(anyFilter, fc.constant(false)), fc.tuple(byId, fc.boolean()), fc.tuple(upsertFilter, fc.boolean())),
    operation,
    fc.boolean(),
  )
  .map(([[q, upsert], u, multi]) => value({ q, u, multi, upsert }));
/** Behind the first those by `_id`, of which each finds one at most. */
const changeById = fc.tuple(byId, operation, fc.boolean()).map(([q, u, upsert]) => value({ q, u, upsert }));
const update: fc.Arbitrary<Command> = fc
  .tuple(change, fc.array(changeById, { maxLength: 2 }), fc.boolean())
  .map(([first, more, ordered]) => ({ name: 'update', fields: fieldsOf({ updates: [first, ...more], ordered }) }));

const remove: fc.Arbitrary<Command> = fc
  .tuple(anyFilter, fc.integer({ min: 0, max: 1 }), fc.array(byId, { maxLength: 2 }), fc.boolean())
  .map(([q, limit, more, ordered]) => ({
    name: 'delete',
    fields: fieldsOf({ deletes: [{ q, limit }, ...more.map((each) => ({ q: each, limit: 1 }))], ordered }),
  }));

const findAndModify: fc.Arbitrary<Command> = fc
  .oneof(
    fc.tuple(anyFilter, fc.record({ update: operation, new: fc.boolean() })),
    fc.tuple(anyFilter, fc.constant({ remove: true })),
    fc.tuple(upsertFilter, fc.record({ update: operation, new: fc.boolean(), upsert: fc.constant(true) })),
  )
  .map(([query, how]) => ({ name: 'findAndModify', fields: fieldsOf({ query, ...how }) }));

const usual: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: insert },
  { weight: 5, arbitrary: find },
  { weight: 1, arbitrary: aggregate },
  { weight: 6, arbitrary: update },
  { weight: 1, arbitrary: remove },
  { weight: 2, arbitrary: findAndModify },
);

const optionName = fc.constantFrom(
  ...new Set(Object.values(ACCEPTED.commands).flatMap((fields) => Object.keys(fields ?? {}))),
  ...['$readPreference', 'hint', 'collation', 'comment', 'skip', 'let', 'maxTimeMS', 'arrayFilters', 'other'],
);
const writeConcern = fc
  .tuple(
    fc.constantFrom<Plain>(0, 1, 2, 1.5, 'majority', 'other', null, new Date(0)),
    fc.option(fc.constantFrom<Plain>(true, false, 1, 'x')),
  )
  .map(([w, j]) => value({ w, ...(j === null ? {} : { j }) }));
/** Nothing that an option takes: such as a limit, without an order, leaves open what is right. */
const strange: fc.Arbitrary<Value> = fc.oneof(
  anyValue.filter(({ type, isNumber }) => type !== T.OBJECT && type !== T.BOOL && !isNumber),
  fc.constantFrom<Plain>(-1, 1.5, Number.NaN).map(value),
);
const oddField: fc.Arbitrary<Field> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(optionName, strange) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('writeConcern'), writeConcern) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant('$readPreference'),
      anyValue.map((mode) => value({ mode })),
    ),
  },
);

/** With a field that is strange to it, or holds something strange. */
const odd: fc.Arbitrary<Command> = fc.tuple(usual, oddField).map(([{ name, fields }, [option, held]]) => {
  const known = fields.some(([each]) => each === option);
  const put: Field = [option, held];
  return { name, fields: known ? fields.map((field) => (field[0] === option ? put : field)) : [...fields, put], odd: true };
});

export const command: fc.Arbitrary<Command> = fc.oneof({ weight: 20, arbitrary: usual }, { weight: 1, arbitrary: odd });

const indexPath = fc.oneof({ weight: 8, arbitrary: flatPath }, { weight: 1, arbitrary: fc.constantFrom('a', 'a.b', 'a.b.c') });
const partial: fc.Arbitrary<Value> = fc
  .array(
    fc.tuple(
      fc.constantFrom('a', 'b', 'd', 'e', 'a.b'),
      fc.oneof(
        likely,
        fc.constant(value({ $exists: true })),
        fc.tuple(fc.constantFrom('$gt', '$gte', '$lt', '$lte'), likely).map((each) => object([each])),
        fc.array(likely, { maxLength: 2 }).map((each) => value({ $in: each })),
      ),
    ),
    { minLength: 1, maxLength: 2 },
  )
  .map(object);

/** Indexes of a collection, by their own name so that none is named twice. */
export const indexes: fc.Arbitrary<readonly Value[]> = fc
  .uniqueArray(
    fc.tuple(
      fc.uniqueArray(fc.tuple(indexPath, direction), { selector: ([name]) => name, minLength: 1, maxLength: 3 }).map(object),
      fc.constantFrom(false, false, true),
      fc.option(partial, { freq: 2 }),
    ),
    { selector: ([key]) => key.bytes.toString('hex'), maxLength: 3 },
  )
  .map((list) =>
    list.map(([key, unique, where], at) =>
      value({ key, name: `i${at}`, ...(unique ? { unique } : {}), ...(where ? { partialFilterExpression: where } : {}) }),
    ),
  );
