import { Decimal128 } from 'bson';
import { T, type Field, type Value } from './value';

/** A value as MongoDB writes it in its error messages: `{ a: 1, b: "x" }`. */
export function render(value: Value): string {
  const { type } = value;
  if (type === T.DOUBLE) return renderDouble(value.number);
  if (type === T.INT || type === T.LONG) return String(value.bigint);
  if (type === T.DECIMAL) return new Decimal128(value.bytes).toString();
  if (type === T.STRING || type === T.SYMBOL) return `"${value.text}"`;
  if (type === T.CODE) return value.text;
  if (type === T.OBJECT) return value.fields.length > 0 ? `{ ${value.fields.map(renderField).join(', ')} }` : '{}';
  if (type === T.ARRAY) return value.fields.length > 0 ? `[ ${value.items.map(render).join(', ')} ]` : '[]';
  if (type === T.OBJECT_ID) return `ObjectId('${value.bytes.toString('hex')}')`;
  if (type === T.BOOL) return value.truthy ? 'true' : 'false';
  if (type === T.DATE) return `new Date(${value.bigint})`;
  if (type === T.TIMESTAMP) return `Timestamp(${value.bigint >> 32n}, ${value.bigint & 0xffff_ffffn})`;
  if (type === T.REGEX) return `/${value.bytes.toString('utf8', 0, value.length - 1).replace('\0', '/')}`;
  if (type === T.BINARY) return renderBinary(value.bytes[4]!, value.bytes.toString('hex', 5));
  return value.typeName.replace(/^m/, 'M'); // null, undefined, MinKey, MaxKey
}

export function renderField([name, value]: Field): string {
  return `${name}: ${render(value)}`;
}

function renderBinary(subtype: number, hex: string): string {
  if (subtype !== 4) return `BinData(${subtype}, ${hex.toUpperCase()})`;
  return `UUID("${hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}")`;
}

/** As C's %.16g, with `.0` behind a whole number. */
function renderDouble(number: number): string {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? 'nan' : number > 0 ? 'inf' : '-inf';
  if (Object.is(number, -0)) return '-0.0';
  const [digits = '', power = ''] = number.toExponential(15).split('e');
  if (Number(power) < -4 || Number(power) >= 16)
    return `${digits.replace(/\.?0+$/, '')}e${power.replace(/^([+-])(\d)$/, '$10$2')}`;
  const text = number.toPrecision(16).replace(/(\.\d*?)0+$/, '$1');
  return text.endsWith('.') ? `${text}0` : text.includes('.') ? text : `${text}.0`;
}
