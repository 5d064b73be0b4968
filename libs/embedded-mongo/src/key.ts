import { decimalOf } from './decimal';
import { T, type Value } from './value';

/**
 * MongoDB's comparison order as bytes: `compare(a, b)` is the order of `keyOf(a)` and `keyOf(b)` as byte strings, and values that
 * MongoDB takes for equal (1, 1.0, Long 1, Decimal 1.00) have the same key. One order thus serves queries, sorts and indexes. No
 * key is a prefix of another's, so keys of several values can be strung together.
 */
export function keyOf(value: Value | undefined): Buffer {
  used = 0;
  append(value);
  return Buffer.from(scratch.subarray(0, used));
}

export function compare(a: Value, b: Value): number {
  return Buffer.compare(keyOf(a), keyOf(b));
}

export function equal(a: Value, b: Value): boolean {
  return a.same(b) || (bracket(a) === bracket(b) && compare(a, b) === 0);
}

// prettier-ignore
const CLASSES: Readonly<Record<number, number>> = {
  [T.MIN_KEY]: 0x10, [T.NULL]: 0x18, [T.DOUBLE]: 0x20, [T.INT]: 0x20, [T.LONG]: 0x20, [T.DECIMAL]: 0x20,
  [T.STRING]: 0x28, [T.SYMBOL]: 0x28, [T.OBJECT]: 0x30, [T.ARRAY]: 0x38, [T.BINARY]: 0x40, [T.OBJECT_ID]: 0x48, [T.BOOL]: 0x50,
  [T.DATE]: 0x58, [T.TIMESTAMP]: 0x60, [T.REGEX]: 0x68, [T.CODE]: 0x78, [T.MAX_KEY]: 0xe0,
};

/** The class of types that compare with one another: the first byte of their keys. Between two classes at least three are free. */
export function bracket({ type }: Value): number {
  return CLASSES[type]!; // of every type that is let in
}

let scratch = Buffer.allocUnsafe(1 << 16);
let used = 0;

function room(bytes: number): void {
  if (used + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, used + bytes));
  scratch.copy(larger, 0, 0, used);
  scratch = larger;
}

function byte(value: number): void {
  if (used === scratch.length) room(1);
  scratch[used++] = value;
}

/** Bytes that end with 00; 00 and 01 within them are written 01 01 and 01 02, so that no such string begins another. */
function terminated(bytes: Buffer): void {
  room(bytes.length * 2 + 1);
  if (!bytes.includes(0) && !bytes.includes(1)) used += bytes.copy(scratch, used);
  else
    for (const each of bytes) {
      if (each <= 1) scratch[used++] = 1;
      scratch[used++] = each <= 1 ? each + 1 : each;
    }
  scratch[used++] = 0;
}

/** Signed big-endian with the sign flipped: ordered as bytes. */
function signed(value: bigint): void {
  room(8);
  used = scratch.writeBigUInt64BE(BigInt.asUintN(64, value) ^ 0x8000_0000_0000_0000n, used);
}

function raw(bytes: Buffer): void {
  room(bytes.length);
  used += bytes.copy(scratch, used);
}

function append(value: Value | undefined): void {
  if (!value) return byte(0x18); // a missing field is indexed and sorted as null
  byte(bracket(value));
  switch (value.type) {
    case T.INT:
    case T.DOUBLE:
    case T.LONG:
    case T.DECIMAL:
      return number(value);
    case T.STRING:
    case T.SYMBOL:
    case T.CODE:
      return terminated(value.bytes.subarray(4, -1));
    case T.OBJECT:
      for (const [name, each] of value.fields) {
        byte(bracket(each));
        terminated(Buffer.from(name));
        append(each);
      }
      return byte(0);
    case T.ARRAY:
      for (const [, each] of value.fields) append(each);
      return byte(0);
    case T.BINARY:
      room(5);
      used = scratch.writeUInt32BE(value.bytes.readInt32LE(0), used);
      return raw(value.bytes.subarray(4));
    case T.DATE:
      return signed(value.bigint);
    case T.TIMESTAMP:
      room(8);
      used = scratch.writeBigUInt64BE(value.bigint, used);
      return;
    case T.REGEX: {
      const end = value.bytes.indexOf(0);
      terminated(value.bytes.subarray(0, end));
      return terminated(value.bytes.subarray(end + 1, -1));
    }
    default:
      return raw(value.bytes); // ObjectId, bool, and those without bytes: null, MinKey, MaxKey
  }
}

/**
 * Numbers: a byte for NaN, -Infinity, negative, zero, positive, Infinity; then the decimal exponent and the digits in pairs, ended
 * by 00, all inverted for a negative number. MongoDB compares a double with a decimal rounded to 34 digits, which tells all
 * doubles and all longs apart.
 */
function number(value: Value): void {
  const decimal = decimalOf(value);
  if (typeof decimal === 'string') return byte(decimal === 'NaN' ? 1 : decimal === '-Infinity' ? 2 : 6);
  const { digits, exponent, negative } = decimal;
  if (digits === '') return byte(4);
  byte(negative ? 3 : 5);
  const flip = negative ? 0xff : 0;
  const biased = exponent + 0x4000;
  byte((biased >> 8) ^ flip);
  byte((biased & 0xff) ^ flip);
  for (let at = 0; at < digits.length; at += 2) {
    const pair = (digits.charCodeAt(at) - 48) * 10 + (at + 1 < digits.length ? digits.charCodeAt(at + 1) - 48 : 0);
    byte((pair + 1) ^ flip);
  }
  byte(flip);
}

/** Inverts a key for an index or sort field in descending order. */
export function descending(key: Buffer): Buffer {
  const out = Buffer.allocUnsafe(key.length);
  for (let at = 0; at < key.length; at++) out[at] = ~key[at]!;
  return out;
}
