import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BSON } from 'bson';
import fc from 'fast-check';
import { anyValue } from '../testing/arbitraries';
import { ACCEPTED } from './accepted';
import { Engine } from './engine';
import { array, document, T, value, Value, type Field } from './value';

const HOUR = 3_600_000;
let now: number;
let engine: Engine;

beforeEach(() => {
  now = Date.parse('2030-01-01');
  engine = new Engine(':memory:', () => now);
});

afterEach(() => engine.close());

/** The answer to a command, as plain values. */
function ask(command: object, db = 'test'): BSON.Document {
  const body = new Value(T.OBJECT, Buffer.from(BSON.serialize({ ...command, $db: db })));
  return BSON.deserialize(engine.answer(body).bytes);
}

function insert(...documents: object[]): BSON.Document {
  return ask({ insert: 'things', documents });
}

function found(filter: object = {}, more: object = {}): unknown {
  return (ask({ find: 'things', filter, ...more }) as { cursor: { firstBatch: unknown } }).cursor.firstBatch;
}

function index(key: object, more: object = {}): BSON.Document {
  return ask({ createIndexes: 'things', indexes: [{ key, name: JSON.stringify(key), ...more }] });
}

describe('the TTL monitor', () => {
  it('deletes what expired, and nothing else', () => {
    index({ at: 1 }, { expireAfterSeconds: 60 });
    insert(
      { _id: 1, at: new Date(now) },
      { _id: 2, at: new Date(now + HOUR) },
      { _id: 3 },
      { _id: 4, at: 'no date' },
      { _id: 5, at: new Date(0) },
    );
    expect(engine.expire()).toBe(1);
    now += 59_999;
    expect(engine.expire()).toBe(0);
    now += 1;
    expect(engine.expire()).toBe(1);
    expect(found({}, { projection: { _id: 1 } })).toEqual([{ _id: 2 }, { _id: 3 }, { _id: 4 }]);
  });

  it('leaves what a partial index leaves out', () => {
    index({ at: 1 }, { expireAfterSeconds: 0, partialFilterExpression: { done: true } });
    insert({ _id: 1, at: new Date(0), done: true }, { _id: 2, at: new Date(0), done: false });
    expect(engine.expire()).toBe(1);
    expect(found()).toEqual([{ _id: 2, at: new Date(0), done: false }]);
  });
});

describe('explain', () => {
  const planOf = (filter: object, sort: object = {}): unknown => {
    const { queryPlanner } = ask({ explain: { find: 'things', filter, sort }, verbosity: 'queryPlanner' }) as {
      queryPlanner: { winningPlan: unknown };
    };
    return queryPlanner.winningPlan;
  };
  const scan = (name: string, keyPattern: object, direction = 'forward', isMultiKey = false): object => ({
    stage: 'FETCH',
    inputStage: { stage: 'IXSCAN', keyPattern, indexName: name, isMultiKey, direction },
  });

  it('names the index that serves equality, range, $in and order', () => {
    index({ owner: 1, at: -1 });
    insert({ _id: 1 });
    const both = { owner: 1, at: -1 };
    expect(planOf({ _id: 5 })).toEqual(scan('_id_', { _id: 1 }));
    expect(planOf({ _id: { $in: [1, 2] } })).toEqual(scan('_id_', { _id: 1 }));
    expect(planOf({ owner: 'a', at: { $lt: 5 } })).toEqual(scan('{"owner":1,"at":-1}', both));
    expect(planOf({ owner: 'a' }, { at: -1 })).toEqual(scan('{"owner":1,"at":-1}', both, 'backward'));
    expect(planOf({ other: 1 })).toEqual({ stage: 'COLLSCAN', direction: 'forward' });
    expect(planOf({ other: 1 }, { other: 1 })).toEqual({
      stage: 'SORT',
      inputStage: { stage: 'COLLSCAN', direction: 'forward' },
    });
  });

  it('uses a partial index only where the query says what its filter says', () => {
    index({ slot: 1 }, { partialFilterExpression: { slot: { $exists: true } } });
    insert({ _id: 1, slot: 2 });
    expect(planOf({ slot: 2 })).toEqual(scan('{"slot":1}', { slot: 1 }));
    expect(planOf({ slot: null })).toEqual({ stage: 'COLLSCAN', direction: 'forward' });
  });

  it('counts what it reads', () => {
    index({ a: 1 });
    insert(...Array.from({ length: 1000 }, (_, _id) => ({ _id, a: _id % 10 })));
    const { executionStats } = ask({ explain: { find: 'things', filter: { a: 3 } }, verbosity: 'executionStats' });
    expect(executionStats).toEqual({ executionSuccess: true, nReturned: 100, totalKeysExamined: 100, totalDocsExamined: 100 });
  });
});

describe('cursors', () => {
  const open = (): BSON.Long => (ask({ find: 'things', filter: {}, batchSize: 2 }) as { cursor: { id: BSON.Long } }).cursor.id;
  const next = (id: BSON.Long, batchSize?: number): BSON.Document =>
    ask({ getMore: BSON.Long.fromBigInt(BigInt(id.toString())), collection: 'things', ...(batchSize ? { batchSize } : {}) });

  beforeEach(() => insert(...Array.from({ length: 600 }, (_, _id) => ({ _id }))));

  it('go on where they were while documents come and go', () => {
    const id = open();
    ask({ delete: 'things', deletes: [{ q: { _id: { $lt: 100 } }, limit: 0 }] });
    insert({ _id: 1000 });
    const { cursor } = next(id) as { cursor: { nextBatch: { _id: number }[]; id: number } };
    expect(cursor.nextBatch.at(-1)).toEqual({ _id: 1000 });
    expect(cursor.id).toBe(0);
    expect(next(id)).toMatchObject({ ok: 0, code: 43, codeName: 'CursorNotFound' });
  });

  it('show nothing that was deleted or changed before they were asked for it', () => {
    const id = open();
    ask({ delete: 'things', deletes: [{ q: { _id: 2 }, limit: 1 }] });
    ask({ update: 'things', updates: [{ q: { _id: 3 }, u: { $set: { a: 1 } } }] });
    expect(next(id, 2)).toMatchObject({ cursor: { nextBatch: [{ _id: 3, a: 1 }, { _id: 4 }] } });
  });

  it('are not kept where nothing can follow', () => {
    expect(ask({ find: 'none', batchSize: 0 })).toMatchObject({ cursor: { id: 0 } });
    expect(ask({ find: 'things', filter: { _id: 5 }, batchSize: 1 })).toMatchObject({ cursor: { id: 0 } });
  });

  it('end when their collection is dropped, when they are killed and when they are forgotten', () => {
    const [dropped, killed, forgotten] = [open(), open(), open()];
    expect(ask({ killCursors: 'things', cursors: [BSON.Long.fromBigInt(BigInt(killed.toString()))] })).toMatchObject({
      ok: 1,
      cursorsNotFound: [],
    });
    expect(next(killed)).toMatchObject({ code: 43 });
    now += HOUR;
    engine.expire();
    expect(next(forgotten)).toMatchObject({ code: 43 });
    const last = open();
    ask({ dropDatabase: 1 });
    expect(next(last, 500)).toMatchObject({ code: 175, codeName: 'QueryPlanKilled' });
    expect(dropped).toBeDefined();
  });
});

describe('a failed index', () => {
  it('leaves nothing behind', () => {
    insert({ _id: 1, a: 1 }, { _id: 2, a: 1 });
    expect(index({ a: 1 }, { unique: true })).toMatchObject({ ok: 0, code: 11000, keyPattern: { a: 1 }, keyValue: { a: 1 } });
    expect((ask({ listIndexes: 'things' }) as { cursor: { firstBatch: unknown } }).cursor.firstBatch).toHaveLength(1);
    expect(insert({ _id: 3, a: 1 })).toEqual({ n: 1, ok: 1 });
    const both = [
      { key: { b: 1 }, name: 'good' },
      { key: { a: 1 }, name: 'bad', unique: true },
    ];
    expect(ask({ createIndexes: 'things', indexes: both })).toMatchObject({ ok: 0, code: 11000 });
    expect((ask({ listIndexes: 'things' }) as { cursor: { firstBatch: unknown } }).cursor.firstBatch).toHaveLength(1);
  });
});

describe('what is written', () => {
  it('is kept only by a commit', () => {
    const directory = mkdtempSync(join(tmpdir(), 'engine-'));
    const durable = new Engine(join(directory, 'database.sqlite'));
    const send = (command: object): BSON.Document =>
      BSON.deserialize(durable.answer(new Value(T.OBJECT, Buffer.from(BSON.serialize({ ...command, $db: 'test' })))).bytes);
    send({ insert: 'things', documents: [{ _id: 1 }] });
    durable.catalog.commit();
    send({ insert: 'things', documents: [{ _id: 2 }] });
    send({ createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'a' }] });
    durable.catalog.rollback();
    expect((send({ find: 'things' }) as { cursor: { firstBatch: unknown } }).cursor.firstBatch).toEqual([{ _id: 1 }]);
    expect((send({ listIndexes: 'things' }) as { cursor: { firstBatch: unknown } }).cursor.firstBatch).toHaveLength(1);
    durable.close();
    rmSync(directory, { recursive: true });
  });

  it('is limited to 16 MB a document', () => {
    const limit = 16 * 1024 * 1024;
    const fits = { _id: 1, text: 'x'.repeat(limit - BSON.calculateObjectSize({ _id: 1, text: '' })) };
    expect(insert(fits)).toEqual({ n: 1, ok: 1 });
    expect(insert({ ...fits, _id: 2, text: `${fits.text}x` })).toMatchObject({ n: 0, writeErrors: [{ code: 10334 }] });
    const grow = { update: 'things', updates: [{ q: { _id: 1 }, u: { $set: { more: 1 } } }] };
    expect(ask(grow)).toMatchObject({ n: 0, writeErrors: [{ code: 17419 }] });
  });

  it('is not told to a client that wants no acknowledgement', () => {
    const writeConcern = { w: 0 };
    expect(ask({ insert: 'things', documents: [{ _id: 1 }, { _id: 1 }], writeConcern })).toEqual({ n: 0, ok: 1 });
    const updates = [{ q: { _id: 1 }, u: { $set: { a: 1 } } }];
    expect(ask({ update: 'things', updates, writeConcern })).toEqual({ n: 0, nModified: 0, ok: 1 });
    expect(found()).toEqual([{ _id: 1, a: 1 }]);
    const durable = { insert: 'things', documents: [{ _id: 1 }], writeConcern: { w: 0, j: true } };
    expect(ask(durable)).toMatchObject({ n: 0, writeErrors: [{ code: 11000 }] });
  });

  it('goes on behind an error only when it is not ordered', () => {
    insert({ _id: 2 });
    const documents = [{ _id: 1 }, { _id: 2 }, { _id: 3 }];
    const error = { code: 11000, index: 1, keyPattern: { _id: 1 }, keyValue: { _id: 2 } };
    expect(ask({ insert: 'things', documents })).toMatchObject({ n: 1, writeErrors: [error] });
    expect(ask({ insert: 'other', documents: [...documents, { _id: 2 }], ordered: false })).toMatchObject({
      n: 3,
      writeErrors: [{ ...error, index: 3 }],
    });
  });

  it('keeps its types through unrelated updates', () => {
    insert({
      _id: 1,
      double: new BSON.Double(1),
      long: BSON.Long.fromNumber(1),
      int: new BSON.Int32(1),
      decimal: BSON.Decimal128.fromString('1.00'),
    });
    ask({ update: 'things', updates: [{ q: {}, u: { $set: { other: 1 }, $inc: { int: 2 } } }] });
    const body = new Value(T.OBJECT, Buffer.from(BSON.serialize({ find: 'things', $db: 'test' })));
    const batch = engine.answer(body).get('cursor')!.get('firstBatch')!;
    expect(batch.items[0]!.fields.map(([name, { typeName }]) => `${name} ${typeName}`)).toEqual([
      '_id int',
      'double double',
      'long long',
      'int int',
      'decimal decimal',
      'other int',
    ]);
  });
});

describe('what is refused', () => {
  const LONG = new Array(201).fill('a').join('.');
  const update = (u: unknown): object => ({ update: 'things', updates: [{ q: {}, u }] });
  const find = (more: object): object => ({ find: 'things', ...more });
  const pipeline = (...stages: object[]): object => ({ aggregate: 'things', pipeline: stages, cursor: {} });
  const create = (more: object): object => ({ createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'a', ...more }] });
  beforeEach(() => insert({ _id: 1, a: [1] }));

  it.each([
    [{ mapReduce: 'things' }, 59, 'CommandNotFound'],
    [{ createUser: 'me' }, 59, 'CommandNotFound'],
    [{ insert: 'things', documents: [{}], txnNumber: 1, startTransaction: true }, 20, 'IllegalOperation'],
    [find({ filter: { $text: { $search: 'x' } } }), 2, 'BadValue'],
    [find({ filter: { $where: '1' } }), 2, 'BadValue'],
    [find({ filter: { $expr: true } }), 2, 'BadValue'],
    [find({ filter: { a: /x/ } }), 2, 'BadValue'],
    [find({ filter: { a: { $regex: 'x' } } }), 2, 'BadValue'],
    [find({ filter: { a: { $near: [1, 2] } } }), 2, 'BadValue'],
    [find({ filter: { 'a.b': null } }), 2, 'BadValue'],
    [find({ filter: { 'a.0': 1 } }), 2, 'BadValue'],
    [find({ collation: { locale: 'de' } }), 40415, 'IDLUnknownField'],
    [find({ hint: 'a' }), 40415, 'IDLUnknownField'],
    [find({ maxTimeMS: 1 }), 40415, 'IDLUnknownField'],
    [find({ tailable: true }), 40415, 'IDLUnknownField'],
    [find({ readConcern: { level: 'majority' } }), 40415, 'IDLUnknownField'],
    [find({ projection: { a: { $slice: 1 } } }), 2, 'BadValue'],
    [find({ projection: { a: 'text' } }), 2, 'BadValue'],
    [find({ sort: { a: { $meta: 'textScore' } } }), 15974, 'Location15974'],
    [pipeline({ $changeStream: {} }), 40324, 'Location40324'],
    [pipeline({ $lookup: {} }), 40324, 'Location40324'],
    [pipeline({ $group: { _id: 1, n: { $avg: '$a' } } }), 15952, 'Location15952'],
    [pipeline({ $group: { _id: 1, n: { $sum: 1.5 } } }), 238, 'NotImplemented'],
    [create({ sparse: true }), 197, 'InvalidIndexSpecificationOption'],
    [create({ key: { a: 'text' } }), 67, 'CannotCreateIndex'],
    [create({ key: { a: '2dsphere' } }), 67, 'CannotCreateIndex'],
    [create({ collation: { locale: 'de' } }), 197, 'InvalidIndexSpecificationOption'],
    [{ insert: 'things', documents: [{}], writeConcern: { w: 3 } }, 2, 'BadValue'],
    [{ insert: 'things', documents: [{}], writeConcern: { j: 'x' } }, 2, 'BadValue'],
    [{ insert: 'things', documents: [{}], writeConcern: { w: new Date(0) } }, 2, 'BadValue'],
    [{ delete: 'things', deletes: [{ q: {}, limit: new Date(0) }] }, 9, 'FailedToParse'],
    [{ dropDatabase: new Date(1) }, 5255100, 'Location5255100'],
    [find({ sort: { a: 1.5 } }), 15975, 'Location15975'],
    [find({ $readPreference: { mode: 'any' } }), 2, 'BadValue'],
    [find({ $readPreference: {} }), 40414, 'IDLFailedToParse'],
    [find({ lsid: { id: 1 } }), 2, 'BadValue'],
    [{ listCollections: 1, authorizedCollections: {} }, 14, 'TypeMismatch'],
    [{ listIndexes: 'none', cursor: { other: 1 } }, 40415, 'IDLUnknownField'],
    [{ explain: { find: 'things', projection: { a: 1, b: 0 } }, verbosity: 'queryPlanner' }, 31254, 'Location31254'],
    [{ explain: { find: 'things' }, verbosity: 'other' }, 2, 'BadValue'],
    [find({ filter: { [LONG]: 1 } }), 2, 'BadValue'],
    [find({ sort: { [LONG]: 1 } }), 2, 'BadValue'],
    [create({ key: { [LONG]: 1 } }), 67, 'CannotCreateIndex'],
    [create({ name: '*' }), 2, 'BadValue'],
    [create({ name: 'a\0b' }), 67, 'CannotCreateIndex'],
    [
      {
        createIndexes: 'things',
        indexes: [
          { key: { b: 1 }, name: 'b' },
          { key: { b: 1 }, name: 'b' },
        ],
      },
      68,
      'IndexAlreadyExists',
    ],
    [{ aggregate: 1, pipeline: [], cursor: {} }, 73, 'InvalidNamespace'],
  ])('%j: %i %s', (command, code, codeName) => {
    expect(ask(command)).toMatchObject({ ok: 0, code, codeName });
    expect(found()).toEqual([{ _id: 1, a: [1] }]);
  });

  it.each([
    [[{ $set: { b: 1 } }], 238],
    [{ b: 1 }, 238],
    [{ $rename: { a: 'b' } }, 9],
    [{ $set: { 'a.$': 1 } }, 2],
    [{ $set: { 'a.$[]': 1 } }, 2],
    [{ $set: { 'a.0': 1 } }, 2],
    [{ $set: { 'b..c': 1 } }, 2],
    [{ $inc: { a: BSON.Decimal128.fromString('1') }, $set: { 'a.x': 1 } }, 40],
  ])('the update %j: %i', (u, code) => {
    expect(ask(update(u))).toMatchObject({ ok: 1, n: 0, writeErrors: [{ code }] });
    expect(found()).toEqual([{ _id: 1, a: [1] }]);
  });

  it('an array where an index or a sort meets it', () => {
    expect(index({ a: 1 })).toMatchObject({ ok: 0, code: 238, codeName: 'NotImplemented' });
    expect(ask(find({ sort: { 'a.b': 1 } }))).toMatchObject({ ok: 0, code: 238 });
    expect(index({ b: 1, 'c.d': 1 })).toMatchObject({ ok: 1 });
    for (const document of [{ b: [] }, { c: [{ d: 1 }] }, { c: { d: [1] } }]) {
      expect(insert(document)).toMatchObject({ n: 0, writeErrors: [{ code: 238 }] });
      expect(ask(update({ $set: document }))).toMatchObject({ n: 0, writeErrors: [{ code: 238 }] });
    }
    expect(found()).toEqual([{ _id: 1, a: [1] }]);
  });

  it('arrayFilters, hint and collation of an update', () => {
    for (const option of [{ arrayFilters: [] }, { hint: 'a' }, { collation: {} }, { let: {} }]) {
      expect(ask({ update: 'things', updates: [{ q: {}, u: { $set: { a: 1 } }, ...option }] })).toMatchObject({
        ok: 0,
        code: 40415,
      });
    }
  });
});

it('answers whatever fields a command is given, and never throws', () => {
  const fields = Object.entries(ACCEPTED.commands).map(
    ([name, known]) => [name, Object.keys({ ...known, $readPreference: 0, lsid: 0 })] as const,
  );
  const spec = fc.dictionary(
    fc.constantFrom(...Object.keys({ ...ACCEPTED.updateStatement, ...ACCEPTED.deleteStatement, ...ACCEPTED.index })),
    anyValue,
    { maxKeys: 5 },
  );
  const part = fc.oneof(
    anyValue,
    fc
      .array(
        spec.map((each) => value(each)),
        { maxLength: 2 },
      )
      .map(array),
    fc.array(anyValue, { maxLength: 2 }).map(array),
  );
  const command = fc
    .constantFrom(...fields)
    .chain(([name, known]) =>
      fc
        .tuple(
          fc.oneof(fc.constant(value('things')), anyValue),
          fc.uniqueArray(fc.tuple(fc.constantFrom(...known, 'other'), part), { selector: ([field]) => field, maxLength: 5 }),
        )
        .map(([argument, rest]) => document([[name, argument], ...(rest as Field[]), ['$db', value('test')]])),
    );
  fc.assert(
    fc.property(command, (body) => {
      const answer = engine.answer(body);
      const ok = answer.get('ok')?.number;
      expect(ok === 1 || (ok === 0 && answer.get('code')!.number > 0 && answer.get('errmsg')!.text !== '')).toBe(true);
      engine.catalog.commit();
    }),
    { numRuns: 3000 },
  );
});
