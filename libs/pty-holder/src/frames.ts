/*
 * The holder's side of this is ../program/pty-holder.c. A frame is a letter, the length of its body in 4 bytes, and the body; numbers
 * are big-endian. A position counts bytes since the shell began: of its output, or of the input sent to the holder.
 *
 * To the holder                                     From the holder
 *   i  position(8) seq(8) length(1) client id, bytes    h  version(1) over(1) pid(4) created(8) output from(8), to(8),
 *   c  output consumed up to(8)                            input accepted(8), taken(8), output it can keep(8), cols(2) rows(2),
 *   s  cols(2) rows(2)                                     count(2), then for each client: length(1) id seq(8)
 *   k  hang up                                          o  output
 *   f  is something in the foreground?                  a  input taken by the PTY up to(8)
 *                                                       f  busy(1)
 *                                                       x  by signal(1) code or signal(1) when(8); the last
 *                                                       r  another connection has taken over; the last
 */

/** Input that may be on its way to the program, and the most that one frame bears: INPUT_MOST and PIECE of the holder. */
export const INPUT_MOST = 65_536;
export const PIECE = 32_768;
const VERSION = 1;
const HEAD = 5;
/** More than a hello with all its clients. */
const MOST_WORDS = 8_192;
/** Beyond it positions would no longer be whole numbers, nor dates be any. */
const MOST_COUNT = 2n ** 52n;

export interface Hello {
  readonly createdAt: Date;
  readonly over: boolean;
  /** Where the output that follows begins, and where it ends so far. */
  readonly from: number;
  readonly position: number;
  readonly accepted: number;
  readonly taken: number;
  /** Output that the container can keep. */
  readonly ring: number;
  readonly cols: number;
  readonly rows: number;
  readonly marks: ReadonlyMap<string, number>;
}

export type HolderFrame =
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'output'; readonly bytes: Buffer }
  | { readonly type: 'taken'; readonly position: number }
  | { readonly type: 'foreground'; readonly busy: boolean }
  | { readonly type: 'exit'; readonly bySignal: boolean; readonly value: number }
  | { readonly type: 'replaced' };

/** What came is not what the holder says: somebody in the container says it. */
export class BadFrameError extends Error {}

function frame(letter: string, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD, letter);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function position(at: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(at));
  return bytes;
}

/** @param at where the bytes begin @param seq where they end in the client's own count; ignored without a client */
export function inputFrame(at: number, bytes: Buffer, clientId: string, seq: number): Buffer {
  const id = Buffer.from(clientId);
  return frame('i', Buffer.concat([position(at), position(seq), Buffer.from([id.length]), id, bytes]));
}

export function consumedFrame(at: number): Buffer {
  return frame('c', position(at));
}

export function sizeFrame(cols: number, rows: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt16BE(cols, 0);
  body.writeUInt16BE(rows, 2);
  return frame('s', body);
}

export const HANG_UP_FRAME = frame('k', Buffer.alloc(0));
export const FOREGROUND_FRAME = frame('f', Buffer.alloc(0));

/** Reads frames out of chunks that end anywhere. Output is passed on as it comes, not first gathered to a frame. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0);
  private outputDue = 0;

  /** @throws BadFrameError */
  *push(chunk: Buffer): Generator<HolderFrame> {
    let data = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    this.rest = Buffer.alloc(0);
    for (;;) {
      if (this.outputDue > 0) {
        const bytes = data.subarray(0, this.outputDue);
        if (bytes.length === 0) return;
        this.outputDue -= bytes.length;
        data = data.subarray(bytes.length);
        yield { type: 'output', bytes };
        continue;
      }
      if (data.length < HEAD) break;
      const length = data.readUInt32BE(1);
      if (length > (data[0] === OUTPUT ? PIECE : MOST_WORDS)) throw new BadFrameError('A frame is too long');
      if (data[0] === OUTPUT) {
        this.outputDue = length;
        data = data.subarray(HEAD);
        continue;
      }
      if (data.length < HEAD + length) break;
      yield read(data.toString('latin1', 0, 1), data.subarray(HEAD, HEAD + length));
      data = data.subarray(HEAD + length);
    }
    this.rest = data;
  }
}

const OUTPUT = 'o'.charCodeAt(0);

function read(letter: string, body: Buffer): HolderFrame {
  try {
    switch (letter) {
      case 'h':
        return { type: 'hello', hello: helloOf(body) };
      case 'a':
        return { type: 'taken', position: count(body, 0) };
      case 'f':
        return { type: 'foreground', busy: body.readUInt8(0) === 1 };
      case 'x':
        return { type: 'exit', bySignal: body.readUInt8(0) === 1, value: body.readUInt8(1) };
      case 'r':
        return { type: 'replaced' };
    }
  } catch (error) {
    if (error instanceof BadFrameError) throw error; // else a body too short
  }
  throw new BadFrameError('A frame is not readable');
}

function count(body: Buffer, at: number): number {
  const value = body.readBigUInt64BE(at);
  if (value > MOST_COUNT) throw new BadFrameError('A number is too high');
  return Number(value);
}

function helloOf(body: Buffer): Hello {
  if (body.readUInt8(0) !== VERSION) throw new BadFrameError('The holder speaks another version');
  const marks = new Map<string, number>();
  let at = 60;
  for (let left = body.readUInt16BE(58); left > 0; left -= 1) {
    const length = body.readUInt8(at);
    marks.set(body.toString('utf8', at + 1, at + 1 + length), count(body, at + 1 + length));
    at += 9 + length;
  }
  const hello = {
    over: body.readUInt8(1) === 1,
    createdAt: new Date(count(body, 6)),
    from: count(body, 14),
    position: count(body, 22),
    accepted: count(body, 30),
    taken: count(body, 38),
    ring: count(body, 46),
    cols: body.readUInt16BE(54),
    rows: body.readUInt16BE(56),
    marks,
  };
  if (hello.from > hello.position || hello.taken > hello.accepted) throw new BadFrameError('A hello contradicts itself');
  return hello;
}
