/** The terminal's messages in JSON (contract §6): reading what clients send, without trusting any of it. */

export const MOST_INPUT_BYTES = 1_048_576;
const MOST_ID_LENGTH = 128;

export type ClientMessage =
  | { readonly type: 'input'; readonly bytes: Buffer; readonly seq: number | null }
  | { readonly type: 'resize'; readonly cols: number; readonly rows: number }
  | { readonly type: 'ping'; readonly id: PingId | undefined }
  | { readonly type: 'ack'; readonly seq: number }
  | { readonly type: 'control'; readonly action: 'take' | 'release' }
  | { readonly type: 'auth'; readonly token: string }
  | { readonly type: 'refused'; readonly code: string; readonly message: string };

const refused = (code: string, message: string): ClientMessage => ({ type: 'refused', code, message });

/** Known to the contract and not offered by this version: refused by name rather than taken for a mistake. */
const NOT_YET = new Set(['key', 'paste', 'paste_cancel', 'screen']);

/** A text frame. What is no JSON object is raw input. */
export function readMessage(text: string): ClientMessage {
  const value = parseObject(text);
  if (value === null) return input(text, null);
  const { type } = value;
  if (typeof type !== 'string') return refused('bad_message', 'A message needs a type');
  switch (type) {
    case 'input':
      if (typeof value.data !== 'string') return refused('bad_message', 'input needs data, a string');
      if (value.seq !== undefined && !isCount(value.seq)) return refused('bad_message', 'seq must be a whole number');
      return input(value.data, value.seq === undefined ? null : Number(value.seq));
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
      return typeof value.token === 'string'
        ? { type: 'auth', token: value.token }
        : refused('bad_message', 'auth needs a token');
    default:
      return refused(
        'unknown_type',
        NOT_YET.has(type) ? `This server does not offer ${type} yet` : 'This type of message is not known',
      );
  }
}

function input(data: string, seq: number | null): ClientMessage {
  const bytes = Buffer.from(data, 'utf8');
  if (bytes.length > MOST_INPUT_BYTES)
    return refused('input_too_large', `At most ${MOST_INPUT_BYTES} bytes of input a message; this one has ${bytes.length}`);
  if (seq !== null && seq < bytes.length) return refused('bad_message', 'seq counts the bytes of this message too');
  return { type: 'input', bytes, seq };
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

export interface TerminalQuery {
  /** Null: as the session has it, 80 × 24 for a new one. */
  readonly cols: number | null;
  readonly rows: number | null;
  readonly sessionId: string | null;
  readonly after: number | null;
  readonly clientId: string | null;
  readonly acks: boolean;
  readonly view: boolean;
}

export const SESSION_ID = /^[0-9a-f]{24}$/;
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** The URL's options, or what is wrong with them. */
export function readQuery(query: URLSearchParams): TerminalQuery | { readonly code: string; readonly message: string } {
  const count = (name: string): number | null | undefined => {
    const text = query.get(name);
    if (text === null) return undefined;
    return /^\d{1,15}$/.test(text) ? Number(text) : null;
  };
  const [cols, rows] = [count('cols'), count('rows')];
  if ((cols !== undefined && !isSize(cols)) || (rows !== undefined && !isSize(rows)))
    return { code: 'bad_resize', message: 'cols and rows must be whole numbers from 1 to 1000' };
  const after = count('after');
  if (after === null) return { code: 'bad_after', message: 'after must be a whole number' };
  const sessionId = query.get('session_id');
  if (sessionId === null && after) return { code: 'bad_after', message: 'after lies beyond the end of a new session' };
  if (sessionId !== null && !SESSION_ID.test(sessionId)) return { code: 'not_found', message: 'There is no such session' };
  const clientId = query.get('client_id');
  if (clientId !== null && !CLIENT_ID.test(clientId))
    return { code: 'bad_message', message: 'client_id must be 1–64 of letters, digits, ., _ and -' };
  return {
    cols: cols ?? null,
    rows: rows ?? null,
    sessionId,
    after: after ?? null,
    clientId,
    acks: query.get('ack') === '1',
    view: query.get('mode') === 'view',
  };
}
