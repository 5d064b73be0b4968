import { type ResourceLimits, type TerminalExit } from '@devpocket/runtime';

/** A host that speaks another version is ended with its shells rather than guessed at. */
export const HOST_PROTOCOL = 3;

/** What a second server hears, whatever it asks. */
export const TAKEN = 'taken';

/**
 * Output that may be under way to the server before the PTY is paused. With the half of its buffer that a server is behind when it
 * pauses, it still fits into that buffer at the shell's end.
 */
export const WINDOW_BYTES = 262_144;
/** What a piece of output counts beside its bytes: a shell that prints byte by byte is not a million pieces ahead. */
export const FRAME_COST = 256;

const FRAME_JSON = 0;
const FRAME_OUTPUT = 1;
const FRAME_INPUT = 2;
const FRAME_ACK = 3;
const MOST_FRAME_BYTES = 16 * 1024 * 1024;

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
  readonly sessionId: string;
  readonly mark?: { readonly clientId: string; readonly seq: number };
}

export type Frame =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'output'; readonly handle: number; readonly bytes: Buffer }
  | { readonly kind: 'input'; readonly header: InputHeader; readonly bytes: Buffer }
  | { readonly kind: 'ack'; readonly handle: number; readonly bytes: number };

function frame(kind: number, ...parts: readonly Buffer[]): Buffer[] {
  const head = Buffer.allocUnsafe(5);
  head.writeUInt32BE(1 + parts.reduce((sum, { length }) => sum + length, 0), 0);
  head.writeUInt8(kind, 4);
  return [head, ...parts];
}

function uint32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4);
  buffer.writeUInt32BE(value, 0);
  return buffer;
}

export const jsonFrame = (value: unknown): Buffer[] => frame(FRAME_JSON, Buffer.from(JSON.stringify(value)));
export const outputFrame = (handle: number, bytes: Buffer): Buffer[] => frame(FRAME_OUTPUT, uint32(handle), bytes);
export const ackFrame = (handle: number, bytes: number): Buffer[] => frame(FRAME_ACK, uint32(handle), uint32(bytes));

export function inputFrame(header: InputHeader, bytes: Buffer): Buffer[] {
  const text = Buffer.from(JSON.stringify(header));
  return frame(FRAME_INPUT, uint32(text.length), text, bytes);
}

/** Cuts a stream of bytes into frames. @throws Error for one that cannot be ours */
export class FrameReader {
  private chunks: Buffer[] = [];
  private size = 0;

  push(chunk: Buffer): Frame[] {
    this.chunks.push(chunk);
    this.size += chunk.length;
    const frames: Frame[] = [];
    for (;;) {
      if (this.size < 4) return frames;
      const length = this.peek(4).readUInt32BE(0);
      if (length < 1 || length > MOST_FRAME_BYTES) throw new Error(`A frame of ${length} bytes`);
      if (this.size < 4 + length) return frames;
      frames.push(parse(this.take(4 + length).subarray(4)));
    }
  }

  private peek(bytes: number): Buffer {
    const [first] = this.chunks;
    if (first && first.length >= bytes) return first;
    this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0] ?? Buffer.alloc(0);
  }

  private take(bytes: number): Buffer {
    const all = this.peek(bytes);
    const rest = all.subarray(bytes);
    this.chunks = rest.length > 0 ? [rest, ...this.chunks.slice(1)] : this.chunks.slice(1);
    this.size -= bytes;
    return all.subarray(0, bytes);
  }
}

function parse(body: Buffer): Frame {
  const kind = body.readUInt8(0);
  const rest = body.subarray(1);
  switch (kind) {
    case FRAME_JSON:
      return { kind: 'json', value: JSON.parse(rest.toString('utf8')) as unknown };
    case FRAME_OUTPUT:
      return { kind: 'output', handle: rest.readUInt32BE(0), bytes: rest.subarray(4) };
    case FRAME_ACK:
      return { kind: 'ack', handle: rest.readUInt32BE(0), bytes: rest.readUInt32BE(4) };
    case FRAME_INPUT: {
      const size = rest.readUInt32BE(0);
      const header = JSON.parse(rest.subarray(4, 4 + size).toString('utf8')) as InputHeader;
      return { kind: 'input', header, bytes: rest.subarray(4 + size) };
    }
    default:
      throw new Error(`A frame of the unknown kind ${kind}`);
  }
}
