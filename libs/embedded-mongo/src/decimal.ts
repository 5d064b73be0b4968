import { T, type Value } from './value';

/** `d.ddd… × 10^exponent`, digits without trailing zeros; '' is zero. */
export interface Decimal {
  readonly negative: boolean;
  readonly digits: string;
  readonly exponent: number;
}

const PRECISION = 34;
const view = new DataView(new ArrayBuffer(8));

/** The number of an int, long, double or decimal exactly; a double rounded to the 34 digits of a decimal, as MongoDB compares it. */
export function decimalOf(value: Value): Decimal | 'NaN' | 'Infinity' | '-Infinity' {
  if (value.type === T.DECIMAL) return ofDecimal128(value.bytes);
  if (value.type === T.LONG) return scaled(String(value.bigint));
  const number = value.number;
  if (Number.isSafeInteger(number)) return scaled(String(number));
  return Number.isFinite(number) ? ofDouble(number) : Number.isNaN(number) ? 'NaN' : number > 0 ? 'Infinity' : '-Infinity';
}

/** A whole number in digits, times a power of ten. */
function scaled(text: string, power = 0): Decimal {
  const negative = text.startsWith('-');
  const all = negative ? text.slice(1) : text;
  return { negative, digits: all.replace(/0+$/, ''), exponent: all.length - 1 + power };
}

function ofDouble(number: number): Decimal {
  view.setFloat64(0, number);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const mantissa = (biased === 0 ? fraction : fraction | 0x10_0000_0000_0000n) * (number < 0 ? -1n : 1n);
  const power = (biased || 1) - 1075;
  // m × 2^-p is m × 5^p × 10^-p
  const exact = power >= 0 ? scaled(String(mantissa << BigInt(power))) : scaled(String(mantissa * 5n ** BigInt(-power)), power);
  return round(exact);
}

/** Half to even at the 34th digit. */
function round({ negative, digits, exponent }: Decimal): Decimal {
  const kept = BigInt(digits.slice(0, PRECISION));
  const rest = digits.slice(PRECISION);
  const half = '5'.padEnd(rest.length, '0');
  const up = rest > half || (rest === half && kept % 2n === 1n);
  if (rest === '' || !up) return { negative, digits: digits.slice(0, PRECISION).replace(/0+$/, ''), exponent };
  return scaled((negative ? '-' : '') + String(kept + 1n), exponent - PRECISION + 1);
}

/** IEEE 754-2008 with a binary significand, of the encodings that `isCanonical` lets in. */
function ofDecimal128(bytes: Buffer): ReturnType<typeof decimalOf> {
  const [low, high] = [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)];
  const sign = high >> 63n ? '-' : '';
  if ((high >> 61n) % 4n === 3n) return (high >> 58n) % 2n ? 'NaN' : `${sign}Infinity`;
  return scaled(sign + String(((high % (1n << 49n)) << 64n) + low), Number((high >> 49n) % (1n << 14n)) - 6176);
}
