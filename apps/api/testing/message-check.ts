import { type ValidateFunction } from 'ajv';
import { type Channel, CHANNELS } from '../src/documents/async-api';
import { closed, isObject, type Json } from '../src/documents/json-schema';
import { schemaOf } from '../src/documents/messages';
import { ajv } from './json-schemas';

/** Answers to what a client should not have sent. */
const REPROACHES = ['bad_message', 'unknown_type', 'bad_resize'];
/** Opcode and position. */
const BINARY_HEAD = 7;

const compiled = new Map<string, ValidateFunction>();

/** Judges what one socket says and is sent by the AsyncAPI document. */
export class MessageCheck {
  private wrong = 0;

  private constructor(
    private readonly name: string,
    private readonly channel: Channel,
    private readonly complain: (fault: string) => void,
    private readonly record: (entry: string) => void,
  ) {}

  /** Null for a path that is none of the channels. */
  static of(path: string, complain: (fault: string) => void, record: (entry: string) => void): MessageCheck | null {
    const asked = path.split('?')[0]?.replace(/\/$/, '') ?? '';
    const found = Object.entries(CHANNELS).find(
      ([, { address, protocol }]) => protocol === 'ws' && new RegExp(`^${address.replace(/\{\w+\}/g, '[^/]+')}$`).test(asked),
    );
    if (!found) return null;
    const check = new MessageCheck(found[0], found[1], complain, record);
    check.asked(new URLSearchParams(path.split('?')[1]));
    return check;
  }

  private asked(query: URLSearchParams): void {
    for (const [name, text] of query) {
      const schema = this.channel.query[name];
      if (schema && !ajv.validate(schema, schema.type === 'integer' ? Number(text) : text)) this.wrong += 1;
    }
  }

  received(data: Buffer | ArrayBuffer, isBinary: boolean): void {
    if (data instanceof ArrayBuffer) data = Buffer.from(data);
    if (!isBinary) this.told(data.toString());
    else if (data[0] === 2) this.told(data.subarray(1).toString());
    else if (data[0] === 1 && data.length >= BINARY_HEAD) this.record(`message ${this.name} server outputFrame`);
    else this.complain(`${this.name}: a binary frame ${data.subarray(0, 16).toString('hex')}…`);
  }

  sent(data: unknown): void {
    const bytes = Buffer.isBuffer(data) || data instanceof Uint8Array ? Buffer.from(data) : null;
    if (bytes?.[0] === 0) this.record(`message ${this.name} client inputFrame`);
    const text = typeof data === 'string' ? data : bytes?.[0] === 2 ? bytes.subarray(1).toString() : null;
    const message = text === null ? null : parsed(text);
    if (!isObject(message)) {
      if (typeof data !== 'string' || !('rawInput' in this.channel.raw)) this.wrong += bytes?.[0] === 0 ? 0 : 1;
      else this.record(`message ${this.name} client rawInput`);
      return;
    }
    if (this.fault('client', message) !== null) this.wrong += 1;
    else this.record(`message ${this.name} client ${String(message.type)}`);
  }

  private told(text: string): void {
    const message = parsed(text);
    if (!isObject(message)) {
      this.complain(`${this.name}: a frame that is no JSON object: ${text.slice(0, 200)}`);
      return;
    }
    const fault = this.fault('server', message);
    if (fault !== null) this.complain(`${this.name}: ${fault} in ${text.slice(0, 500)}`);
    else this.record(`message ${this.name} server ${String(message.type)}`);
    const reproached = message.type === 'error' && REPROACHES.includes(String(message.code));
    if (reproached && this.wrong === 0) this.complain(`${this.name}: ${text.slice(0, 200)} to nothing but documented messages`);
  }

  private fault(from: 'client' | 'server', message: Json): string | null {
    const type = String(message.type);
    const known = from === 'client' ? this.channel.fromClient : this.channel.fromServer;
    const described = Object.hasOwn(known, type) ? known[type] : undefined;
    if (!described) return `the type ${type} is not documented`;
    const key = `${this.name} ${from} ${type}`;
    // A server may not say more than is written; what a client says more is not looked at.
    const schema = schemaOf(type, described);
    const validate = compiled.get(key) ?? ajv.compile((from === 'server' ? closed(schema) : schema) as object);
    compiled.set(key, validate);
    return validate(message) ? null : ajv.errorsText(validate.errors);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
