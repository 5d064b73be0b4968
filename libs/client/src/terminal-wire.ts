import { isRecord } from './rest-client';

/** Subprotocols that a terminal speaks. */
export type TerminalProtocol = 'json' | 'binary';

export const SUBPROTOCOLS: Readonly<Record<TerminalProtocol, string>> = {
  json: 'devpocket.v1.json',
  binary: 'devpocket.v1.binary',
};

/** What a frame from the server is. */
export type Received =
  | { readonly type: 'message'; readonly message: Readonly<Record<string, unknown>> }
  /** `seq`: the position behind it. */
  | { readonly type: 'output'; readonly data: string | Uint8Array; readonly seq: number };

/** How messages lie in frames (contract §6). */
export interface TerminalWire {
  message(message: Readonly<Record<string, unknown>>): string | Uint8Array<ArrayBuffer>;
  /** @param seq the count of input bytes, these included */
  input(text: string, seq: number): string | Uint8Array<ArrayBuffer>;
  /** Null for what is not understood: clients ignore it. */
  read(frame: unknown): Received | null;
}

/** The first byte of a binary frame. */
const OPCODE = { input: 0, output: 1, control: 2 } as const;
/** Opcode and position. */
const HEAD = 7;
const SEQ_AT = 1;
/** The position has 48 bits: 16 and 32. */
const LOW = 2 ** 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const jsonWire: TerminalWire = {
  message: (message) => JSON.stringify(message),
  input: (data, seq) => JSON.stringify({ type: 'input', data, seq }),
  read: (frame) => (typeof frame === 'string' ? parsed(frame) : null),
};

export const binaryWire: TerminalWire = {
  message(message) {
    const text = encoder.encode(JSON.stringify(message));
    const frame = new Uint8Array(1 + text.length);
    frame[0] = OPCODE.control;
    frame.set(text, 1);
    return frame;
  },
  input(text, seq) {
    const bytes = encoder.encode(text);
    const frame = new Uint8Array(HEAD + bytes.length);
    frame[0] = OPCODE.input;
    const view = new DataView(frame.buffer);
    view.setUint16(SEQ_AT, Math.floor(seq / LOW));
    view.setUint32(SEQ_AT + 2, seq % LOW);
    frame.set(bytes, HEAD);
    return frame;
  },
  read(frame) {
    // The server may say in text what a proxy or a refusal before the session says.
    if (typeof frame === 'string') return parsed(frame);
    if (!(frame instanceof ArrayBuffer)) return null;
    const bytes = new Uint8Array(frame);
    if (bytes[0] === OPCODE.control) return parsed(decoder.decode(bytes.subarray(1)));
    if (bytes[0] !== OPCODE.output || bytes.length < HEAD) return null;
    const view = new DataView(frame);
    const seq = view.getUint16(SEQ_AT) * LOW + view.getUint32(SEQ_AT + 2);
    return { type: 'output', data: bytes.subarray(HEAD), seq };
  },
};

function parsed(text: string): Received | null {
  const message: unknown = JSON.parse(text);
  if (!isRecord(message)) return null;
  const { type, data, seq } = message;
  if (type !== 'output') return { type: 'message', message };
  return typeof data === 'string' && typeof seq === 'number' ? { type: 'output', data, seq } : null;
}
