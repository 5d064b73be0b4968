import { isUtf8 } from 'node:buffer';

const MOST_GROWTH = 6; // \u001b
const BACKSLASH = 0x5c;

/** What stands behind the backslash for a byte that JSON wants escaped (RFC 8259 §7); `u` for the long form; 0 for all others. */
const ESCAPE = new Uint8Array(256);
ESCAPE.fill('u'.charCodeAt(0), 0, 0x20);
for (const [byte, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [0x22, '"'],
  [BACKSLASH, '\\'],
] as const)
  ESCAPE[byte] = letter.charCodeAt(0);
const LONG = 'u'.charCodeAt(0);
const HEX = Buffer.from('0123456789abcdef');

const HEAD = Buffer.from('{"type":"output","data":"');
const MOST_TAIL = 32;

/** Of one frame at a time: it is copied out before the next. */
let scratch = Buffer.allocUnsafeSlow(0);

/**
 * An output message from PTY bytes. Byte by byte with a table: what UTF-8 gives is valid in JSON as it is, so neither a string nor
 * a serializer is needed. Bytes that are no UTF-8 become U+FFFD, since a text frame must not have them (RFC 6455 §8.1).
 * @param seq the position behind these bytes
 * @returns good until the next call
 */
export function jsonOutput(bytes: Buffer, seq: number): Buffer {
  const text = isUtf8(bytes) ? bytes : Buffer.from(bytes.toString('utf8'));
  const most = HEAD.length + MOST_GROWTH * text.length + MOST_TAIL;
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most);
  const to = scratch;
  to.set(HEAD, 0);
  const at = escape(text, to, HEAD.length);
  const end = at + to.write(`","seq":${seq}}`, at, 'latin1');
  return to.subarray(0, end);
}

/** @returns where it ends */
function escape(from: Buffer, to: Buffer, start: number): number {
  const { length } = from;
  let at = start;
  for (let index = 0; index < length; index += 1) {
    const byte = from[index] ?? 0;
    const letter = ESCAPE[byte] ?? 0;
    if (letter === 0) {
      to[at++] = byte;
      continue;
    }
    to[at++] = BACKSLASH;
    to[at++] = letter;
    if (letter !== LONG) continue;
    to[at++] = 0x30;
    to[at++] = 0x30;
    to[at++] = HEX[byte >> 4] ?? 0;
    to[at++] = HEX[byte & 15] ?? 0;
  }
  return at;
}
