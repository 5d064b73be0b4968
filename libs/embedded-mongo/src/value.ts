import { isUtf8 } from 'node:buffer';
import { onDemand } from 'bson';
import { MongoError, Refusal } from './errors';

/** BSON type bytes (bsonspec.org). */
// prettier-ignore
export const T = {
  DOUBLE: 1, STRING: 2, OBJECT: 3, ARRAY: 4, BINARY: 5, UNDEFINED: 6, OBJECT_ID: 7, BOOL: 8, DATE: 9, NULL: 10, REGEX: 11,
  DB_POINTER: 12, CODE: 13, SYMBOL: 14, CODE_WITH_SCOPE: 15, INT: 16, TIMESTAMP: 17, LONG: 18, DECIMAL: 19, MAX_KEY: 127, MIN_KEY: 255,
} as const;

/** MongoDB's names of the types from 1 on. */
const TYPE_NAMES =
  'double string object array binData undefined objectId bool date null regex dbPointer javascript symbol javascriptWithScope int timestamp long decimal'.split(
    ' ',
  );

export type Field = readonly [name: string, value: Value];

/**
 * A BSON value as it stands in its document: type byte and bytes. It is never turned into a JavaScript value and back, so that
 * whatever is not changed keeps its type and its bytes.
 */
export class Value {
  private parsed: readonly Field[] | undefined;

  constructor(
    readonly type: number,
    private readonly source: Buffer,
    private readonly start = 0,
    readonly length = source.length,
  ) {}

  get bytes(): Buffer {
    return this.source.subarray(this.start, this.start + this.length);
  }

  get typeName(): string {
    return this.type === T.MIN_KEY ? 'minKey' : this.type === T.MAX_KEY ? 'maxKey' : (TYPE_NAMES[this.type - 1] ?? '');
  }

  get isNumber(): boolean {
    return this.type === T.INT || this.type === T.DOUBLE || this.type === T.LONG || this.type === T.DECIMAL;
  }

  /** The fields of a document or an array, in order. */
  get fields(): readonly Field[] {
    return (this.parsed ??= this.parse());
  }

  private parse(): Field[] {
    const fields: Field[] = [];
    for (const [type, nameStart, nameLength, start, length] of onDemand.parseToElements(this.source, this.start)) {
      const name = this.source.toString('utf8', nameStart, nameStart + nameLength);
      fields.push([name, new Value(type, this.source, start, length)]);
    }
    return fields;
  }

  /** The elements of an array, the values of a document. */
  get items(): readonly Value[] {
    return this.fields.map(([, each]) => each);
  }

  get(name: string): Value | undefined {
    for (const field of this.fields) if (field[0] === name) return field[1];
    return undefined;
  }

  /** The text of a string, symbol or code. */
  get text(): string {
    return this.source.toString('utf8', this.start + 4, this.start + this.length - 1);
  }

  /** int, double and long as a JavaScript number (a long may lose digits); NaN for all else, a decimal too. */
  get number(): number {
    switch (this.type) {
      case T.INT:
        return this.source.readInt32LE(this.start);
      case T.DOUBLE:
        return this.source.readDoubleLE(this.start);
      case T.LONG:
        return Number(this.source.readBigInt64LE(this.start));
      default:
        return Number.NaN;
    }
  }

  /** int, long, date (signed) and timestamp (unsigned) as an integer. */
  get bigint(): bigint {
    if (this.type === T.INT) return BigInt(this.source.readInt32LE(this.start));
    return this.type === T.TIMESTAMP ? this.source.readBigUInt64LE(this.start) : this.source.readBigInt64LE(this.start);
  }

  /** MongoDB's notion of a true option: every number but zero, and everything but false, null and undefined. */
  get truthy(): boolean {
    if (this.type === T.BOOL) return this.source[this.start] === 1;
    if (this.type === T.DECIMAL) throw new Refusal(2, 'a decimal is not taken for a truth value here');
    if (this.isNumber) return this.number !== 0;
    return this.type !== T.NULL && this.type !== T.UNDEFINED;
  }

  /** The same type and bytes. */
  same(other: Value): boolean {
    return this.type === other.type && this.bytes.equals(other.bytes);
  }
}

/** What stands for a value when a document is written: JavaScript numbers become int where they can, else double. */
export type Plain =
  Value | string | number | bigint | boolean | null | Date | readonly Plain[] | { readonly [name: string]: Plain };

export const NULL = new Value(T.NULL, Buffer.alloc(0));

export function value(plain: Plain): Value {
  if (plain instanceof Value) return plain;
  if (plain === null) return NULL;
  if (typeof plain === 'string') {
    const out = Buffer.allocUnsafe(Buffer.byteLength(plain) + 5);
    out.writeInt32LE(out.length - 4);
    out.write(plain, 4);
    out[out.length - 1] = 0;
    return new Value(T.STRING, out);
  }
  if (typeof plain === 'number')
    return Number.isInteger(plain) && plain === (plain | 0) && !Object.is(plain, -0) ? int(plain) : double(plain);
  if (typeof plain === 'bigint') return long(plain);
  if (typeof plain === 'boolean') return new Value(T.BOOL, Buffer.from([plain ? 1 : 0]));
  if (plain instanceof Date) return new Value(T.DATE, long(BigInt(plain.getTime())).bytes);
  if (plain instanceof Array) return array(plain.map(value));
  return document(Object.entries(plain).map(([name, each]) => [name, value(each)]));
}

export function int(number: number): Value {
  const out = Buffer.allocUnsafe(4);
  out.writeInt32LE(number);
  return new Value(T.INT, out);
}

export function double(number: number): Value {
  const out = Buffer.allocUnsafe(8);
  out.writeDoubleLE(number);
  return new Value(T.DOUBLE, out);
}

export function long(number: bigint): Value {
  const out = Buffer.allocUnsafe(8);
  out.writeBigInt64LE(number);
  return new Value(T.LONG, out);
}

export function document(fields: Iterable<Field>): Value {
  return new Value(T.OBJECT, encode(fields));
}

export function array(items: readonly Value[]): Value {
  return new Value(T.ARRAY, encode(items.map((item, index) => [String(index), item])));
}

function encode(fields: Iterable<Field>): Buffer {
  const parts: Buffer[] = [];
  let length = 5;
  for (const [name, { type, bytes }] of fields) {
    const head = Buffer.allocUnsafe(Buffer.byteLength(name) + 2);
    head[0] = type;
    head.write(name, 1);
    head[head.length - 1] = 0;
    parts.push(head, bytes);
    length += head.length + bytes.length;
  }
  const size = Buffer.allocUnsafe(4);
  size.writeInt32LE(length);
  return Buffer.concat([size, ...parts, ZERO], length);
}

const ZERO = Buffer.alloc(1);
/** MongoDB stores 180 levels; with the longest path of an update, and the command around it, these stay below. */
const DEEPEST = 150;
const REFUSED_TYPES: ReadonlySet<number> = new Set([T.UNDEFINED, T.DB_POINTER, T.CODE_WITH_SCOPE]);

/**
 * Checks a document that came from outside, to its last leaf.
 * @throws MongoError 22 (InvalidBSON) for bytes that are no BSON, 15 (Overflow) for deep nesting, 2 for the
 * deprecated types and for fields named twice
 */
export function validate(checked: Value, depth = 1): void {
  if (depth > DEEPEST) throw new Refusal(15, `nesting beyond ${DEEPEST} levels is not supported`);
  const fields = fieldsOf(checked);
  if (checked.type === T.OBJECT && fields.length > 1 && new Set(fields.map(([name]) => name)).size < fields.length) {
    throw new Refusal(2, 'a document that names a field twice is not supported');
  }
  for (const [name, each] of fields) {
    const { type, bytes } = each;
    if (REFUSED_TYPES.has(type)) throw new Refusal(2, `the deprecated BSON type of field '${name}' is not supported`);
    if (name.includes('\uFFFD') || !isWhole(type, bytes)) throw new MongoError(22, `invalid BSON in field '${name}'`);
    if (type === T.OBJECT || type === T.ARRAY) validate(each, depth + 1);
  }
}

function fieldsOf(checked: Value): readonly Field[] {
  try {
    return checked.fields;
  } catch (error) {
    throw new MongoError(22, `invalid BSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Text must be UTF-8 and end in zero, a boolean 0 or 1, a decimal one of the encodings that every decimal has as its own. */
function isWhole(type: number, bytes: Buffer): boolean {
  if (type === T.BOOL) return (bytes[0] ?? 2) <= 1;
  if (type === T.DECIMAL) return isCanonical(bytes);
  if (type !== T.STRING && type !== T.SYMBOL && type !== T.CODE) return true;
  return bytes.length >= 5 && bytes.at(-1) === 0 && isUtf8(bytes.subarray(4));
}

/** IEEE 754-2008 decimal128, binary integer significand: at most 34 digits; NaN and infinities without a payload. */
export function isCanonical(decimal: Buffer): boolean {
  const [low, high] = [decimal.readBigUInt64LE(0), decimal.readBigUInt64LE(8)];
  if ((high >> 61n) % 4n === 3n) return (high >> 59n) % 4n === 3n && low === 0n && high % (1n << 58n) === 0n;
  return ((high % (1n << 49n)) << 64n) + low < 10n ** 34n;
}
