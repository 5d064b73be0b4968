import { DomainError } from '@devpocket/kernel';

/** More than any request of ours needs. Parsing and checking costs by values, not by bytes. */
const MOST_VALUES = 10_000;
const MOST_DEPTH = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/**
 * Counts a JSON text's values and depth before anything is made of it. What is no JSON is left to the parser.
 * @throws DomainError 413 `body_too_large`
 */
export function checkJsonSize(text: Buffer): void {
  let values = 1;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] ?? 0;
    if (byte === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (OPENING.has(byte)) depth += 1;
    else if (CLOSING.has(byte)) depth -= 1;
    if (byte === COMMA || OPENING.has(byte)) values += 1;
    if (values > MOST_VALUES) throw tooLarge(`has more than ${MOST_VALUES} values`);
    if (depth > MOST_DEPTH) throw tooLarge(`is nested more than ${MOST_DEPTH} deep`);
  }
}

/** The index of the closing quote, or the end. */
function endOfString(text: Buffer, from: number): number {
  for (let at = text.indexOf(QUOTE, from + 1); at >= 0; at = text.indexOf(QUOTE, at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

function tooLarge(how: string): DomainError {
  return new DomainError('too_large', 'body_too_large', `The body ${how}`);
}
