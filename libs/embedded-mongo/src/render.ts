import { Decimal128 } from 'bson';
import { T, type Field, type Value } from './value';

/** A value as MongoDB writes it in its error messages: `{ a: 1, b: "x" }`. */
export function render(value: Value): string {
  switch (value.type) {
    case T.DOUBLE:
      return renderDouble(value.number);
    case T.STRING:
    case T.SYMBOL:
      return `"${value.text}"`;
    case T.OBJECT:
      return value.fields.length ? `{ ${value.fields.map(renderField).join(', ')} }` : '{}';
    case T.ARRAY:
      return value.fields.length ? `[ ${value.fields.map(([, each]) => render(each)).join(', ')} ]` : '[]';
    case T.BINARY:
      return value.bytes[4] === 4
        ? `UUID("${value.bytes.toString('hex', 5).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}")`
        : `BinData(${value.bytes[4]}, ${value.bytes.toString('hex', 5).toUpperCase()})`;
    case T.OBJECT_ID:
      return `ObjectId('${value.bytes.toString('hex')}')`;
    case T.BOOL:
      return value.truthy ? 'true' : 'false';
    case T.DATE:
      return `new Date(${value.bigint})`;
    case T.NULL:
    case T.UNDEFINED:
    case T.MIN_KEY:
    case T.MAX_KEY:
      return value.typeName.replace(/^m/, 'M');
    case T.REGEX: {
      const end = value.bytes.indexOf(0);
      return `/${value.bytes.toString('utf8', 0, end)}/${value.bytes.toString('utf8', end + 1, value.length - 1)}`;
    }
    case T.CODE:
      return value.text;
    case T.TIMESTAMP:
      return `Timestamp(${value.bigint >> 32n}, ${value.bigint & 0xffff_ffffn})`;
    case T.INT:
    case T.LONG:
      return String(value.bigint);
    case T.DECIMAL:
      return new Decimal128(value.bytes).toString();
    default:
      return '?';
  }
}

export function renderField([name, value]: Field): string {
  return `${name}: ${render(value)}`;
}

/** As C's %.16g, with `.0` behind a whole number. */
function renderDouble(number: number): string {
  if (Number.isNaN(number)) return 'nan';
  if (!Number.isFinite(number)) return number > 0 ? 'inf' : '-inf';
  if (number === 0) return Object.is(number, -0) ? '-0.0' : '0.0';
  const exponent = Math.floor(Math.log10(Math.abs(Number(number.toPrecision(16)))));
  if (exponent < -4 || exponent >= 16) {
    const [digits = '', power = ''] = number.toExponential(15).split('e');
    const sign = power.startsWith('-') ? '-' : '+';
    return `${digits.replace(/\.?0+$/, '')}e${sign}${power.slice(1).padStart(2, '0')}`;
  }
  const text = number.toPrecision(16);
  const short = text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  return short.includes('.') ? short : `${short}.0`;
}
