/** The terminal's messages (contract §6): reading what clients send, without trusting any of it. */

import { type KeyPress } from './key-encoder';

export const MOST_INPUT_BYTES = 1_048_576;
const MOST_ID_LENGTH = 128;
/** Longer than any that this server gives. */
const MOST_TOKEN_LENGTH = 8_192;

export type ClientMessage =
  | { readonly type: 'input'; readonly bytes: Buffer; readonly seq: number | null }
  | { readonly type: 'resize'; readonly cols: number; readonly rows: number }
  | { readonly type: 'ping'; readonly id: PingId | undefined }
  | { readonly type: 'ack'; readonly seq: number }
  | { readonly type: 'control'; readonly action: 'take' | 'release' }
  | { readonly type: 'auth'; readonly token: string }
  | { readonly type: 'key'; readonly press: KeyPress; readonly seq: number | null }
  | { readonly type: 'paste'; readonly id: PasteId; readonly text: string }
  | { readonly type: 'paste_cancel'; readonly id: PasteId }
  | { readonly type: 'screen' }
  | { readonly type: 'refused'; readonly code: string; readonly message: string };

export const refused = (code: string, message: string): ClientMessage => ({ type: 'refused', code, message });

/** A text frame. What is no JSON object is raw input. */
export function readText(text: string): ClientMessage {
  const value = parseObject(text);
  return value === null ? inputMessage(Buffer.from(text, 'utf8'), null) : readObject(value);
}

/** A message, whichever way it came. */
export function readObject(value: Readonly<Record<string, unknown>>): ClientMessage {
  const { type } = value;
  if (typeof type !== 'string') return refused('bad_message', 'A message needs a type');
  switch (type) {
    case 'input':
      if (typeof value.data !== 'string') return refused('bad_message', 'input needs data, a string');
      if (value.seq !== undefined && !isCount(value.seq)) return refused('bad_message', 'seq must be a whole number');
      return inputMessage(Buffer.from(value.data, 'utf8'), value.seq === undefined ? null : Number(value.seq));
    case 'resize':
      if (!isSize(value.cols) || !isSize(value.rows))
        return refused('bad_resize', 'cols and rows must be whole numbers from 1 to 1000');
      return { type: 'resize', cols: value.cols, rows: value.rows };
    case 'ping':
      return isPingId(value.id)
        ? { type: 'ping', id: value.id }
        : refused('bad_message', `id must be a number, or a string of at most ${MOST_ID_LENGTH} characters`);
    case 'ack':
      return isCount(value.seq) ? { type: 'ack', seq: value.seq } : refused('bad_message', 'ack needs seq, a whole number');
    case 'control':
      if (value.action !== 'take' && value.action !== 'release') return refused('bad_message', 'action must be take or release');
      return { type: 'control', action: value.action };
    case 'auth':
      return typeof value.token === 'string' && value.token.length <= MOST_TOKEN_LENGTH
        ? { type: 'auth', token: value.token }
        : refused('bad_message', `auth needs a token of at most ${MOST_TOKEN_LENGTH} characters`);
    case 'key':
      return keyMessage(value);
    case 'paste':
      return pasteMessage(value);
    case 'paste_cancel':
      return isPasteId(value.id) ? { type: 'paste_cancel', id: value.id } : BAD_PASTE_ID;
    case 'screen':
      return { type: 'screen' };
    default:
      return refused('unknown_type', 'This type of message is not known');
  }
}

/** @param seq the client's count of input bytes, these included; null for input that is not counted */
export function inputMessage(bytes: Buffer, seq: number | null): ClientMessage {
  if (bytes.length > MOST_INPUT_BYTES)
    return refused('input_too_large', `At most ${MOST_INPUT_BYTES} bytes of input a message; this one has ${bytes.length}`);
  if (seq !== null && seq < bytes.length) return refused('bad_message', 'seq counts the bytes of this message too');
  return { type: 'input', bytes, seq };
}

/** DOM `KeyboardEvent.location` of the numeric keypad. */
const KEYPAD_LOCATION = 3;

function keyMessage({ key, seq, location, ...held }: Readonly<Record<string, unknown>>): ClientMessage {
  if (typeof key !== 'string' || key.length > MOST_ID_LENGTH)
    return refused('bad_message', 'key must be a name of a key, or a character');
  const count = seq ?? null;
  if (count !== null && (!isCount(count) || count < 1))
    return refused('bad_message', 'seq must be a whole number, this key included');
  const { ctrl, alt, shift, meta } = held;
  if (![ctrl, alt, shift, meta].every((one) => one === undefined || typeof one === 'boolean'))
    return refused('bad_message', 'ctrl, alt, shift and meta must be true or false');
  const press: KeyPress = {
    key,
    ctrl: ctrl === true,
    alt: alt === true,
    shift: shift === true,
    meta: meta === true,
    keypad: location === KEYPAD_LOCATION,
  };
  return { type: 'key', press, seq: count };
}

const BAD_PASTE_ID = refused('bad_message', `id must be a number, or a string of 1–${MOST_ID_LENGTH} characters`);

function pasteMessage({ id, data }: Readonly<Record<string, unknown>>): ClientMessage {
  if (!isPasteId(id)) return BAD_PASTE_ID;
  if (typeof data !== 'string') return refused('bad_message', 'paste needs data, a string');
  const bytes = Buffer.byteLength(data);
  if (bytes > MOST_INPUT_BYTES)
    return refused('input_too_large', `At most ${MOST_INPUT_BYTES} bytes of input a message; this one has ${bytes}`);
  return { type: 'paste', id, text: data };
}

function isPasteId(value: unknown): value is PasteId {
  return Number.isSafeInteger(value) || (isShort(value) && value !== '');
}

/** Null for what is no JSON object. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  if (!/^\s*\{/.test(text)) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

export type PasteId = string | number;

export type PingId = string | number | null;

/** It comes back as it is: nothing that costs much to write. */
export function isPingId(value: unknown): value is PingId | undefined {
  return value === undefined || value === null || typeof value === 'number' || isShort(value);
}

function isShort(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MOST_ID_LENGTH;
}

export function isSize(value: unknown): value is number {
  return isCount(value) && value >= 1 && value <= 1000;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
