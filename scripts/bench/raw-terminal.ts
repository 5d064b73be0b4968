import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const READ_BYTES = 262_144;
const TAIL_BYTES = 512;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** How a server's terminal is spoken to. */
export interface Dialect {
  /** Bytes of a message before the output in it; what begins otherwise is no output. */
  readonly isOutput: (payload: Buffer) => number | null;
  readonly input: (data: Buffer) => { readonly opcode: number; readonly payload: Buffer };
}

export const JSON_DIALECT: Dialect = {
  isOutput: (payload) => (payload.toString('latin1', 0, 16) === '{"type":"output"' ? 25 : null),
  input: (data) => ({ opcode: TEXT, payload: Buffer.from(JSON.stringify({ type: 'input', data: data.toString('utf8') })) }),
};
export const BINARY_DIALECT: Dialect = {
  isOutput: (payload) => (payload[0] === 1 ? 7 : null),
  input: (data) => ({ opcode: BINARY, payload: Buffer.concat([Buffer.alloc(7), data]) }),
};
/** ttyd's: a letter, then the rest. */
export const TTYD_DIALECT: Dialect = {
  isOutput: (payload) => (payload[0] === 0x30 ? 1 : null),
  input: (data) => ({ opcode: BINARY, payload: Buffer.concat([Buffer.from('0'), data]) }),
};

interface Frame {
  readonly opcode: number;
  left: number;
  /** The first bytes, until it is known what it is. */
  head: Buffer | null;
  output: boolean;
}

/**
 * The least of a WebSocket client: it counts the bytes of output and keeps the last of them. It must cost so little that what is
 * measured is the server.
 */
export class RawTerminal {
  bytes = 0;
  messages = 0;
  tail = '';
  /** What is no output, as text. */
  readonly control: string[] = [];
  closed = false;
  onOutput: ((piece: Buffer) => void) | null = null;
  private readonly buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  private rest: Buffer = Buffer.alloc(0);
  private frame: Frame | null = null;
  private waiting: { readonly text: string; readonly resolve: () => void } | null = null;
  private budget = Infinity;
  private framed = true;
  private socket!: Socket;
  readonly over: Promise<void>;
  private ended: () => void = () => undefined;

  private constructor(private readonly dialect: Dialect) {
    this.over = new Promise((resolve) => (this.ended = resolve));
  }

  /** Resolves when the handshake is answered. */
  static async open(url: string, protocols: readonly string[], dialect: Dialect, deflate = false): Promise<RawTerminal> {
    const { hostname, port, pathname, search } = new URL(url);
    const terminal = new RawTerminal(dialect);
    await new Promise<void>((resolve, reject) => {
      const onread = {
        buffer: terminal.buffer,
        callback: (length: number): boolean => {
          terminal.rest = Buffer.concat([terminal.rest, terminal.buffer.subarray(0, length)]);
          const end = terminal.rest.indexOf('\r\n\r\n');
          if (end < 0) return true;
          if (!terminal.rest.toString('latin1', 0, 12).endsWith('101')) {
            reject(new Error(terminal.rest.toString('latin1', 0, 200)));
            return false;
          }
          onread.callback = (more) => terminal.take(terminal.buffer.subarray(0, more));
          const rest = terminal.rest.subarray(end + 4);
          terminal.rest = Buffer.alloc(0);
          resolve();
          terminal.take(rest);
          return true;
        },
      };
      const socket = connect({
        host: hostname,
        port: Number(port),
        onread: { buffer: terminal.buffer, callback: (length) => onread.callback(length) },
      });
      socket.setNoDelay(true);
      terminal.socket = socket;
      socket.on('error', reject);
      socket.on('close', () => {
        terminal.closed = true;
        terminal.ended();
      });
      socket.write(
        [
          `GET ${pathname}${search} HTTP/1.1`,
          `Host: ${hostname}:${port}`,
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Version: 13',
          `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
          ...(protocols.length > 0 ? [`Sec-WebSocket-Protocol: ${protocols.join(', ')}`] : []),
          ...(deflate ? ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'] : []),
          '\r\n',
        ].join('\r\n'),
      );
    });
    return terminal;
  }

  /** To one that frames nothing. */
  static async plain(port: number): Promise<RawTerminal> {
    const terminal = new RawTerminal(BINARY_DIALECT);
    const callback = (length: number): boolean => terminal.takePlain(terminal.buffer.subarray(0, length));
    const socket = connect({ host: '127.0.0.1', port, onread: { buffer: terminal.buffer, callback } });
    terminal.socket = socket;
    terminal.framed = false;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      terminal.closed = true;
      terminal.ended();
    });
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    return terminal;
  }

  type(text: string | Buffer): void {
    if (!this.framed) {
      this.socket.write(text);
      return;
    }
    const { opcode, payload } = this.dialect.input(Buffer.from(text));
    this.send(opcode, payload);
  }

  send(opcode: number, payload: Buffer): void {
    const long = payload.length > 65_535 ? 8 : payload.length > 125 ? 2 : 0;
    const head = Buffer.alloc(2 + long + 4); // a mask of zeros leaves the payload as it is
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (long === 8 ? 127 : long === 2 ? 126 : payload.length);
    if (long === 2) head.writeUInt16BE(payload.length, 2);
    if (long === 8) head.writeBigUInt64BE(BigInt(payload.length), 2);
    if (!this.closed) this.socket.write(Buffer.concat([head, payload]));
  }

  /** Types, and waits for what comes of it. @returns milliseconds */
  async ask(typed: string | Buffer, answer: string): Promise<number> {
    this.tail = '';
    const begun = performance.now();
    const answered = this.until(answer);
    this.type(typed);
    await answered;
    return performance.now() - begun;
  }

  until(text: string): Promise<void> {
    if (this.tail.includes(text)) return Promise.resolve();
    return new Promise((resolve) => (this.waiting = { text, resolve }));
  }

  stall(): void {
    this.socket.pause();
  }

  /** Reads at most so much a second; `Infinity` for as fast as it can. */
  readOn(bytesPerSecond = Infinity): void {
    this.budget = Infinity;
    if (bytesPerSecond === Infinity) {
      this.socket.resume();
      return;
    }
    const step = 5;
    this.budget = 0;
    const refill = (): void => {
      if (this.closed || this.budget === Infinity) return;
      this.budget = Math.min(this.budget + (bytesPerSecond * step) / 1000, bytesPerSecond / 10);
      if (this.budget > 0) this.socket.resume();
      setTimeout(refill, step);
    };
    refill();
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): boolean {
    let data = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    while (data.length > 0) {
      if (!this.frame) {
        const head = data.length < 2 ? 2 : data[1] === 127 ? 10 : data[1] === 126 ? 4 : 2;
        if (data.length < head) break;
        const length = head === 10 ? Number(data.readBigUInt64BE(2)) : head === 4 ? data.readUInt16BE(2) : (data[1] ?? 0);
        this.frame = { opcode: (data[0] ?? 0) & 15, left: length, head: Buffer.alloc(0), output: false };
        data = data.subarray(head);
      }
      const piece = data.subarray(0, this.frame.left);
      this.frame.left -= piece.length;
      data = data.subarray(piece.length);
      this.piece(this.frame, piece);
      if (this.frame.left === 0) this.frame = null;
    }
    this.rest = Buffer.from(data);
    return this.spent(chunk);
  }

  private takePlain(chunk: Buffer): boolean {
    this.output(chunk);
    return this.spent(chunk);
  }

  private spent(chunk: Buffer): boolean {
    if (this.budget !== Infinity) this.budget -= chunk.length;
    if (this.budget > 0) return true;
    this.socket.pause();
    return false;
  }

  private piece(frame: Frame, piece: Buffer): void {
    if (frame.head === null) {
      if (frame.output) this.output(piece);
      return;
    }
    frame.head = Buffer.concat([frame.head, piece]);
    if (frame.left > 0 && frame.head.length < 32) return;
    const whole = frame.head;
    if (frame.opcode === PING) {
      if (frame.left === 0) this.send(PONG, whole);
      return;
    }
    if (frame.opcode === CLOSE) {
      // Without an answer a server waits for it.
      if (frame.left === 0) this.send(CLOSE, whole);
      return;
    }
    const at = this.dialect.isOutput(whole);
    if (at === null) {
      if (frame.left === 0) this.control.push(whole.toString('utf8'));
      return;
    }
    frame.head = null;
    frame.output = true;
    this.messages += 1;
    this.output(whole.subarray(at));
  }

  private output(piece: Buffer): void {
    this.bytes += piece.length;
    this.onOutput?.(piece);
    this.tail = (this.tail + piece.toString('latin1', Math.max(0, piece.length - TAIL_BYTES))).slice(-TAIL_BYTES);
    if (!this.waiting || !this.tail.includes(this.waiting.text)) return;
    const { resolve } = this.waiting;
    this.waiting = null;
    resolve();
  }
}
