import { PIECE_BYTES } from '@devpocket/kernel';
import { type InputMark, type ResourceLimits, type TerminalExit } from '@devpocket/runtime';

/** A host that speaks another version is ended with its shells rather than guessed at. */
export const HOST_PROTOCOL = 6;

/** What a second server hears, whatever it asks. */
export const TAKEN = 'taken';

const FRAME_JSON = 0;
const FRAME_OUTPUT = 1;
const FRAME_INPUT = 2;
const FRAME_ALLOW = 3;
const FRAME_TAKEN = 4;
const MIB = 1024 * 1024;
/** What is asked is smaller; what is answered can be the screen of a terminal of a million cells, a colour each. */
export const MOST_FRAME_BYTES = { request: 16 * MIB, answer: 256 * MIB } as const;
/** Of output in one frame: two of a client's messages, so that a flood wakes the server half as often. */
export const HOST_PIECE_BYTES = 2 * PIECE_BYTES;

/** What the server asks of the host; each has an `id` that the answer bears. */
export type HostRequest =
  | { readonly op: 'hello'; readonly version: number }
  | { readonly op: 'look'; readonly environmentId: string }
  | { readonly op: 'start'; readonly spec: HostSpec }
  | {
      readonly op: 'stop';
      readonly environmentId: string;
      readonly incarnation: number;
      readonly graceMs: number;
      readonly kill: boolean;
    }
  | { readonly op: 'destroy'; readonly environmentId: string }
  | { readonly op: 'usage'; readonly environmentIds: readonly string[] }
  | {
      readonly op: 'open';
      readonly environmentId: string;
      readonly sessionId: string;
      readonly cols: number;
      readonly rows: number;
    }
  | { readonly op: 'records'; readonly environmentId: string }
  | { readonly op: 'attach'; readonly sessionId: string }
  | { readonly op: 'detach'; readonly sessionId: string }
  | { readonly op: 'resize'; readonly sessionId: string; readonly cols: number; readonly rows: number }
  | { readonly op: 'kill'; readonly sessionId: string }
  | { readonly op: 'foreground'; readonly sessionId: string }
  /** For what serves clients there. @see HostFront.answer */
  | { readonly op: 'front'; readonly message: object }
  | { readonly op: 'shutdown' };

export interface HostSpec {
  readonly environmentId: string;
  readonly install: string;
  readonly incarnation: number;
  readonly name: string;
  readonly resources: ResourceLimits;
  readonly environmentVariables: Readonly<Record<string, string>>;
  readonly startupCommands: readonly string[];
  readonly network: 'pasta' | 'slirp4netns' | 'host' | 'none';
}

/** Times as milliseconds since the epoch. */
export interface HostRecord {
  readonly sessionId: string;
  readonly createdAt: number;
  readonly cols: number;
  readonly rows: number;
  readonly position: number;
  readonly exit: TerminalExit | null;
  readonly endedAt: number | null;
}

export interface Attached extends HostRecord {
  /** Marks the output frames of this attachment. */
  readonly handle: number;
  readonly start: number;
  readonly kept: number;
  readonly marks: readonly (readonly [string, number])[];
}

export interface InputHeader {
  readonly id: number;
  readonly handle: number;
  readonly mark: InputMark | undefined;
}

export type Frame =
  | { readonly kind: 'json'; readonly value: unknown }
  /** A piece of it: output is passed on as it comes. A view that is good until the next push. */
  | { readonly kind: 'output'; readonly handle: number; readonly bytes: Buffer }
  | { readonly kind: 'input'; readonly header: InputHeader; readonly bytes: Buffer }
  | { readonly kind: 'allow'; readonly handle: number; readonly position: number }
  /** What became of the input of that id: the PTY took it, or there is none any more. */
  | { readonly kind: 'taken'; readonly id: number; readonly ok: boolean };

const LENGTH_BYTES = 4;
const HEAD_BYTES = LENGTH_BYTES + 1;
const HANDLE_BYTES = 4;
const POSITION_BYTES = 6;
const MOST_POSITION = 2 ** 48 - 1;
const ID_BYTES = 4;
const CLIENT_AT = HANDLE_BYTES + ID_BYTES + POSITION_BYTES + 4;
const INPUT_HEAD_BYTES = CLIENT_AT + 2;
const NO_SPAN = 0xffffffff;

/** One buffer, so that it is one write. */
function frame(kind: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = Buffer.allocUnsafe(HEAD_BYTES + length);
  whole.writeUInt32BE(1 + length, 0);
  whole[LENGTH_BYTES] = kind;
  let at = HEAD_BYTES;
  for (const part of parts) at += part.copy(whole, at);
  return whole;
}

function number(value: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}

export const jsonFrame = (value: unknown): Buffer => frame(FRAME_JSON, Buffer.from(JSON.stringify(value)));
/** Writes an output frame into a buffer. @param parts of at most `HOST_PIECE_BYTES` in all @returns the frame in it */
export function outputFrame(into: Buffer, handle: number, parts: readonly Buffer[]): Buffer {
  let at = into.writeUInt32BE(handle, HEAD_BYTES);
  for (const part of parts) at += part.copy(into, at);
  into.writeUInt32BE(at - LENGTH_BYTES, 0);
  into[LENGTH_BYTES] = FRAME_OUTPUT;
  return into.subarray(0, at);
}
export const OUTPUT_FRAME_BYTES = HEAD_BYTES + HANDLE_BYTES + HOST_PIECE_BYTES;
export const allowFrame = (handle: number, position: number): Buffer =>
  frame(FRAME_ALLOW, number(handle, HANDLE_BYTES), number(Math.min(position, MOST_POSITION), POSITION_BYTES));

/** No JSON in what each key passes: parts of fixed size, then the client's id behind its length, then what is typed. */
export function inputFrame({ id, handle, mark }: InputHeader, bytes: Buffer): Buffer {
  const clientId = mark?.clientId ?? '';
  const idBytes = Buffer.byteLength(clientId);
  const length = INPUT_HEAD_BYTES + idBytes + bytes.length;
  const whole = Buffer.allocUnsafe(HEAD_BYTES + length);
  let at = whole.writeUInt32BE(1 + length, 0);
  at = whole.writeUInt8(FRAME_INPUT, at);
  at = whole.writeUInt32BE(handle, at);
  at = whole.writeUInt32BE(id, at);
  at = whole.writeUIntBE(mark?.seq ?? 0, at, POSITION_BYTES);
  at = whole.writeUInt32BE(mark?.span ?? NO_SPAN, at);
  at = whole.writeUInt16BE(idBytes, at);
  at += whole.write(clientId, at);
  bytes.copy(whole, at);
  return whole;
}

export const takenFrame = (id: number, ok: boolean): Buffer => frame(FRAME_TAKEN, number(id, ID_BYTES), number(ok ? 1 : 0, 1));

/** What cannot be ours. */
export class FrameError extends Error {}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  /** Of a frame that has not come whole. */
  private parts: Buffer[] = [];
  private have = 0;
  private need = 0;
  /** Bytes of the output frame that is under way. */
  private due = 0;
  private handle = 0;

  /** @param most bytes of a frame */
  constructor(private readonly most: number) {}

  /** @param chunk may be overwritten afterwards @throws FrameError for what cannot be ours */
  push(chunk: Buffer, take: (frame: Frame) => void): void {
    this.have += chunk.length;
    if (this.have < this.need) {
      this.parts.push(Buffer.from(chunk));
      return;
    }
    let data = this.parts.length > 0 ? Buffer.concat([...this.parts, chunk]) : chunk;
    this.need = 0;
    while (data.length > 0) {
      if (this.due > 0) {
        const bytes = data.subarray(0, this.due);
        this.due -= bytes.length;
        data = data.subarray(bytes.length);
        take({ kind: 'output', handle: this.handle, bytes });
        continue;
      }
      if (data.length < HEAD_BYTES) break;
      const length = data.readUInt32BE(0);
      if (length < 1 || length > this.most) throw new FrameError(`A frame of ${length} bytes`);
      if (data[LENGTH_BYTES] === FRAME_OUTPUT) {
        if (data.length < HEAD_BYTES + HANDLE_BYTES) break;
        this.handle = data.readUInt32BE(HEAD_BYTES);
        this.due = length - 1 - HANDLE_BYTES;
        data = data.subarray(HEAD_BYTES + HANDLE_BYTES);
        continue;
      }
      if (data.length < LENGTH_BYTES + length) {
        this.need = LENGTH_BYTES + length;
        break;
      }
      take(parse(data[LENGTH_BYTES] ?? 0, data.subarray(HEAD_BYTES, LENGTH_BYTES + length)));
      data = data.subarray(LENGTH_BYTES + length);
    }
    this.parts = data.length > 0 ? [Buffer.from(data)] : [];
    this.have = data.length;
  }
}

function parse(kind: number, body: Buffer): Frame {
  switch (kind) {
    case FRAME_JSON:
      return { kind: 'json', value: JSON.parse(body.toString('utf8')) as unknown };
    case FRAME_ALLOW:
      return { kind: 'allow', handle: body.readUInt32BE(0), position: body.readUIntBE(HANDLE_BYTES, POSITION_BYTES) };
    case FRAME_INPUT:
      return parseInput(body);
    case FRAME_TAKEN:
      return { kind: 'taken', id: body.readUInt32BE(0), ok: body[ID_BYTES] === 1 };
    default:
      throw new FrameError(`A frame of the unknown kind ${kind}`);
  }
}

function parseInput(body: Buffer): Frame {
  const seq = body.readUIntBE(HANDLE_BYTES + ID_BYTES, POSITION_BYTES);
  const span = body.readUInt32BE(CLIENT_AT - 4);
  const begins = INPUT_HEAD_BYTES + body.readUInt16BE(CLIENT_AT);
  const clientId = body.toString('utf8', INPUT_HEAD_BYTES, begins);
  // Input without a client is not counted.
  const mark = clientId === '' ? undefined : { clientId, seq, ...(span === NO_SPAN ? {} : { span }) };
  const header = { handle: body.readUInt32BE(0), id: body.readUInt32BE(HANDLE_BYTES), mark };
  return { kind: 'input', header, bytes: Buffer.from(body.subarray(begins)) };
}
