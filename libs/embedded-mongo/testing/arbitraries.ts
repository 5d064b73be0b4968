import { Decimal128, Long, ObjectId } from 'bson';
import fc from 'fast-check';
import { array, isCanonical, document, double, int, long, NULL, T, value, Value, type Field } from '../src/value';

/** Values of every BSON type that is accepted, from so few that they meet. */
const one = (...values: Value[]): fc.Arbitrary<Value> => fc.constantFrom(...values);

const decimal = (text: string): Value => new Value(T.DECIMAL, Buffer.from(Decimal128.fromString(text).bytes));
const regex = (pattern: string, flags: string): Value => new Value(T.REGEX, Buffer.from(`${pattern}\0${flags}\0`));
const binary = (subtype: number, bytes: readonly number[]): Value =>
  new Value(T.BINARY, Buffer.from([bytes.length, 0, 0, 0, subtype, ...bytes]));
const oid = (text: string): Value => new Value(T.OBJECT_ID, Buffer.from(new ObjectId(text).id));
const typed = (type: number, text: string): Value => new Value(type, value(text).bytes);
const bits = (low: number, high: number): Value => new Value(T.TIMESTAMP, Buffer.from(new Long(low, high).toBytesLE()));
const empty = (type: number): Value => new Value(type, Buffer.alloc(0));

export const small = fc.integer({ min: -2, max: 4 }).map(int);

export const number: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: small },
  one(int(2147483647), int(-2147483648)),
  one(
    ...[
      0,
      -0,
      1,
      2,
      -1,
      0.5,
      0.1,
      1.5,
      1e300,
      -1e300,
      5e-324,
      2 ** 53,
      2 ** 53 + 2,
      2 ** 63,
      -(2 ** 63),
      Infinity,
      -Infinity,
      NaN,
    ].map(double),
  ),
  one(...[0n, 1n, 2n, -1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 1n << 40n].map(long)),
  one(
    ...[
      '0',
      '-0',
      '1',
      '1.0',
      '2.00',
      '0.1',
      '0.5',
      '1E-6176',
      '9.9E6144',
      '9007199254740993',
      '9223372036854775807.5',
      'NaN',
      'Infinity',
      '-Infinity',
    ].map(decimal),
  ),
  fc.double().map(double),
  fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((bytes) => Buffer.from(bytes))
    .filter(isCanonical)
    .map((bytes) => new Value(T.DECIMAL, bytes)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(long),
);

const text = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'ab', 'a\0', 'a\0b', 'a\u0001', 'a\0\u0001', 'é', '\u{1d4b3}', '$a', 'A', 'aa'),
  fc.string({ unit: 'binary', maxLength: 4 }).filter((each) => !each.includes('\uFFFD')),
);

export const scalar: fc.Arbitrary<Value> = fc.oneof(
  { weight: 6, arbitrary: number },
  { weight: 3, arbitrary: text.map(value) },
  { weight: 2, arbitrary: one(NULL, value(true), value(false)) },
  one(oid('000000000000000000000000'), oid('ffffffffffffffffffffffff'), oid('0123456789abcdef01234567')),
  one(
    ...[0n, 1n, -1n, 10n ** 12n, -(10n ** 12n), 2n ** 63n - 1n, -(2n ** 63n)].map((time) => new Value(T.DATE, long(time).bytes)),
  ),
  one(bits(0, 0), bits(1, 0), bits(0, 1), bits(1, 1), bits(-1, -1), bits(0, -1)),
  one(
    binary(0, []),
    binary(0, [0]),
    binary(0, [1, 2]),
    binary(0, [255]),
    binary(5, [1, 2]),
    binary(4, new Array<number>(16).fill(7)),
    binary(128, [1]),
  ),
  one(regex('a', ''), regex('a', 'i'), regex('', ''), regex('b.*', 'ims')),
  one(typed(T.CODE, 'f()'), typed(T.CODE, ''), typed(T.SYMBOL, 'a'), typed(T.SYMBOL, 'b')),
  one(empty(T.MIN_KEY), empty(T.MAX_KEY)),
);

const name = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom('a', 'b', 'c', 'a', 'b', '0', '1') },
  { weight: 1, arbitrary: fc.constantFrom('', '$a', 'a.b', 'é') },
);

function record(values: fc.Arbitrary<Value>, most: number): fc.Arbitrary<Value> {
  return fc
    .uniqueArray(fc.tuple(name, values), { selector: ([each]) => each, maxLength: most })
    .map((fields) => document(fields as Field[]));
}

const level = (below: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc.oneof(
    { weight: 6, arbitrary: scalar },
    { weight: 2, arbitrary: record(below, 3) },
    { weight: 3, arbitrary: fc.array(below, { maxLength: 3 }).map(array) },
  );

export const anyValue: fc.Arbitrary<Value> = level(level(level(scalar)));

/** Mostly small numbers, so that conditions hold and keys collide. */
export const likely: fc.Arbitrary<Value> = fc.oneof({ weight: 3, arbitrary: small }, { weight: 3, arbitrary: anyValue });

const deep = (values: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc.oneof(
    { weight: 4, arbitrary: values },
    { weight: 1, arbitrary: record(values, 2) },
    { weight: 2, arbitrary: fc.array(fc.oneof(values, record(values, 2)), { maxLength: 3 }).map(array) },
  );

export const id: fc.Arbitrary<Value> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 6 }).map(int) },
  { weight: 1, arbitrary: scalar },
);

/** Without arrays: what may stand in an index. */
const flat: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: small },
  { weight: 2, arbitrary: scalar },
  { weight: 2, arbitrary: record(fc.oneof(small, scalar), 2) },
);
const flatFields = fc
  .tuple(fc.option(flat), fc.option(flat))
  .map(([d, e]): Field[] => [...(d ? [['d', d] as Field] : []), ...(e ? [['e', e] as Field] : [])]);

export const doc: fc.Arbitrary<Value> = fc
  .tuple(id, record(fc.oneof(deep(likely), likely), 3), flatFields, fc.boolean())
  .map(([_id, rest, more, last]) => {
    const fields = [...rest.fields, ...more];
    return document(last ? [...fields, ['_id', _id]] : [['_id', _id], ...fields]);
  });

export const flatPath = fc.constantFrom('d', 'e', 'd.a', 'e.b', 'd', 'e');
export const path: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', 'a', 'b') },
  { weight: 3, arbitrary: fc.constantFrom('a.b', 'b.a', 'a.a', 'a.c', 'b.b', 'a.b.c') },
  { weight: 1, arbitrary: fc.constantFrom('_id', '_id.a', 'a.3') },
);
/** A path and what may stand there. */
export const at: fc.Arbitrary<readonly [string, Value]> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(path, likely) },
  { weight: 2, arbitrary: fc.tuple(flatPath, flat) },
);
