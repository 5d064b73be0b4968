import { Decimal128 } from 'bson';
import { T, type Value } from './value';

/** `0.d1d2d3… × 10^(exponent+1)`: digits without leading or trailing zeros ('' is zero), exponent that of the first digit. */
export interface Decimal {
  readonly negative: boolean;
  readonly digits: string;
  readonly exponent: number;
}

const ZERO: Decimal = { negative: false, digits: '', exponent: 0 };
const PRECISION = 34;

/** The number of an int, long, double or decimal exactly; a double rounded to the 34 digits of a decimal, as MongoDB compares it. */
export function decimalOf(value: Value): Decimal | 'NaN' | 'Infinity' | '-Infinity' {
  if (value.type === T.DECIMAL) return ofDecimal128(new Decimal128(value.bytes).toString());
  if (value.type === T.LONG) return ofDigits(String(value.bigint));
  const number = value.number;
  if (Number.isInteger(number) && Math.abs(number) < 1e21) {
    return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? ofDigits(String(number)) : ofDigits(String(BigInt(number)));
  }
  if (Number.isNaN(number)) return 'NaN';
  if (!Number.isFinite(number)) return number > 0 ? 'Infinity' : '-Infinity';
  return ofDouble(number);
}

/** An integer in decimal digits, scaled by a power of ten. */
function ofDigits(text: string, scale = 0): Decimal {
  const negative = text.startsWith('-');
  let first = negative ? 1 : 0;
  while (text.charCodeAt(first) === 48) first++;
  let end = text.length;
  if (first === end) return ZERO;
  const exponent = end - first - 1 + scale;
  while (text.charCodeAt(end - 1) === 48) end--;
  return { negative, digits: text.slice(first, end), exponent };
}

function ofDouble(number: number): Decimal {
  view.setFloat64(0, number);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const mantissa = biased === 0 ? fraction : fraction | 0x10_0000_0000_0000n;
  const power = (biased || 1) - 1075;
  const sign = number < 0 ? '-' : '';
  // m × 2^-p is m × 5^p × 10^-p
  return round(
    power >= 0
      ? ofDigits(sign + String(mantissa << BigInt(power)))
      : ofDigits(sign + String(mantissa * 5n ** BigInt(-power)), power),
  );
}

const view = new DataView(new ArrayBuffer(8));

/** Half to even at the 34th digit. */
function round(exact: Decimal): Decimal {
  if (exact.digits.length <= PRECISION) return exact;
  const kept = BigInt(exact.digits.slice(0, PRECISION));
  const rest = exact.digits.slice(PRECISION);
  const half = '5'.padEnd(rest.length, '0');
  const up = rest > half || (rest === half && kept % 2n === 1n);
  return ofDigits((exact.negative ? '-' : '') + String(kept + (up ? 1n : 0n)), exact.exponent - PRECISION + 1);
}

function ofDecimal128(text: string): Decimal | 'NaN' | 'Infinity' | '-Infinity' {
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return text;
  const [coefficient = '', exponent = '0'] = text.split('E');
  const [whole = '', fraction = ''] = coefficient.split('.');
  return ofDigits(whole + fraction, Number(exponent) - fraction.length);
}
