import { MongoError } from './errors';
import { failure } from './engine';
import { document, T, value, Value } from './value';

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;
/** The lower half of the flags must be understood; the upper half may be passed over. */
const REQUIRED_FLAGS = 0xffff;
const LARGEST_MESSAGE = 48_000_000;

/** A message of MongoDB's wire protocol, taken apart. */
export interface Message {
  readonly requestId: number;
  readonly legacy: boolean;
  /** The sender wants no answer. */
  readonly moreToCome: boolean;
  readonly body: Value;
  readonly sequences: ReadonlyMap<string, readonly Value[]>;
  /** The answer, when a command may not come this way. */
  readonly refusal?: Value;
}

/** Cuts a byte stream into messages. */
export class MessageReader {
  private parts: Buffer[] = [];
  private size = 0;

  push(chunk: Buffer): void {
    this.parts.push(chunk);
    this.size += chunk.length;
  }

  /**
   * Whether a whole message has come in.
   * @throws Error for what is no message of the protocol: the connection is then to be closed
   */
  get ready(): boolean {
    if (this.size < 4) return false;
    if (this.parts[0]!.length < 4) this.parts = [Buffer.concat(this.parts, this.size)];
    const length = this.parts[0]!.readInt32LE(0);
    if (length < 16 || length > LARGEST_MESSAGE) throw new Error(`a message of ${length} bytes`);
    return this.size >= length;
  }

  /** The message that is ready. */
  take(): Buffer {
    const all = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts, this.size);
    const length = all.readInt32LE(0);
    this.parts = length < all.length ? [all.subarray(length)] : [];
    this.size -= length;
    return all.subarray(0, length);
  }
}

/** @throws Error for a malformed message */
export function parseMessage(bytes: Buffer): Message {
  const requestId = bytes.readInt32LE(4);
  const operation = bytes.readInt32LE(12);
  if (operation === OP_MSG) return { requestId, legacy: false, ...parseSections(bytes) };
  if (operation === OP_QUERY) return { requestId, legacy: true, moreToCome: false, ...parseQuery(bytes) };
  throw new Error(`operation ${operation}`);
}

function parseSections(bytes: Buffer): Pick<Message, 'moreToCome' | 'body' | 'sequences'> {
  const flags = bytes.readUInt32LE(16);
  if (flags & CHECKSUM_PRESENT || (flags & REQUIRED_FLAGS & ~MORE_TO_COME) !== 0) throw new Error(`flags ${flags}`);
  const sequences = new Map<string, readonly Value[]>();
  let body: Value | undefined;
  for (let at = 20; at < bytes.length;) {
    const kind = bytes[at++];
    if (kind === 0) {
      if (body) throw new Error('two bodies');
      body = documentAt(bytes, at, bytes.length);
      at += body.length;
    } else if (kind === 1) {
      const end = at + bytes.readInt32LE(at);
      const nameEnd = bytes.indexOf(0, at + 4);
      if (end > bytes.length || end < at + 5 || nameEnd < 0 || nameEnd >= end)
        throw new Error('a document sequence of the wrong size');
      const name = bytes.toString('utf8', at + 4, nameEnd);
      if (sequences.has(name)) throw new Error('two document sequences of one name');
      const list: Value[] = [];
      for (at = nameEnd + 1; at < end; at += list.at(-1)!.length) list.push(documentAt(bytes, at, end));
      sequences.set(name, list);
    } else throw new Error(`a section of kind ${kind}`);
  }
  if (!body) throw new Error('no body');
  return { moreToCome: (flags & MORE_TO_COME) !== 0, body, sequences };
}

const HANDSHAKE = new Set(['isMaster', 'ismaster', 'hello']);

/** The handshake of drivers that do not know yet whether OP_MSG is spoken; nothing else may come this way. */
function parseQuery(bytes: Buffer): Pick<Message, 'body' | 'sequences' | 'refusal'> {
  const nameEnd = bytes.indexOf(0, 20);
  if (nameEnd < 0) throw new Error('a query without a name');
  const { fields } = documentAt(bytes, nameEnd + 9, bytes.length);
  const body = document([...fields.filter(([name]) => name !== '$db'), ['$db', value('admin')]]);
  const name = fields[0]?.[0] ?? '';
  if (HANDSHAKE.has(name) && bytes.toString('utf8', 20, nameEnd).endsWith('.$cmd')) return { body, sequences: new Map() };
  const error = new MongoError(352, `Unsupported OP_QUERY command: ${name}. The client driver may require an upgrade.`);
  return { body, sequences: new Map(), refusal: failure(error) };
}

function documentAt(bytes: Buffer, at: number, end: number): Value {
  if (at + 5 > end) throw new Error('a document without room');
  const length = bytes.readInt32LE(at);
  if (length < 5 || at + length > end) throw new Error(`a document of ${length} bytes`);
  return new Value(T.OBJECT, bytes, at, length);
}

let lastId = 0;

export function encodeReply({ requestId, legacy }: Message, body: Value): Buffer {
  const head = Buffer.alloc(legacy ? 36 : 21);
  lastId = (lastId + 1) & 0x7fffffff;
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(lastId, 4);
  head.writeInt32LE(requestId, 8);
  head.writeInt32LE(legacy ? OP_REPLY : OP_MSG, 12);
  if (legacy) head.writeInt32LE(1, 32); // documents in it
  return Buffer.concat([head, body.bytes]);
}
