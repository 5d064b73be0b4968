import { ApiError } from './rest-client';
import { type Socket, type TerminalClientOptions, type TerminalExitView } from './terminal-options';
import { binaryWire, jsonWire, SUBPROTOCOLS, type TerminalProtocol, type TerminalWire } from './terminal-wire';

interface Pending {
  readonly text: string;
  /** The client's count of input bytes, this piece included. */
  readonly seq: number;
}

const OPEN = 1;
/** Closes after which the same call cannot succeed. */
const FINAL = new Set([1000, 4403, 4404, 4408, 4409, 4410]);
/** Renewed so long before an access token of 30 minutes expires. */
const RENEW_EVERY_MS = 10 * 60_000;
/** A network that died without a word is noticed in twice that; the server's patience is 60 s. */
const PING_EVERY_MS = 15_000;
const PIECE = 16_384;
/** How long a leave waits for what was typed before it. */
const LEAVE_MS = 3_000;
/** The server lets 256 KiB go unacknowledged. */
const ACK_EVERY_BYTES = 32_768;

/**
 * A terminal over a bad network: reconnects by itself, goes on where the output stopped, and resends input that was not
 * acknowledged, so that nothing is typed twice or lost.
 */
export class TerminalClient {
  private socket: Socket | null = null;
  private wire: TerminalWire = jsonWire;
  /** Holds what has come of a character. */
  private decoder = newDecoder();
  private sessionId: string | null;
  private clientId: string | null;
  private seq: number | null;
  private replayUntil = 0;
  private acknowledged = 0;
  /** Input bytes so far: typed, and of those taken by the server. */
  private typed = 0;
  private taken = 0;
  private pending: Pending[] = [];
  private size: { cols: number; rows: number };
  private exit: TerminalExitView | null = null;
  private refusal: string | null = null;
  private retryAfter = 0;
  private attempt = 0;
  private welcomed = false;
  private counted = false;
  private ended = false;
  private leaving: ReturnType<typeof setTimeout> | null = null;
  private retry: ReturnType<typeof setTimeout> | null = null;
  private renewal: ReturnType<typeof setInterval> | null = null;
  private heartbeat: ReturnType<typeof setInterval> | null = null;
  /** Nothing came since the last ping. */
  private silent = false;

  constructor(private readonly options: TerminalClientOptions) {
    this.sessionId = options.sessionId ?? null;
    this.clientId = options.clientId ?? null;
    this.seq = options.after ?? null;
    this.size = { cols: options.cols, rows: options.rows };
  }

  /** The session, once the server has told it. */
  get session(): string | null {
    return this.sessionId;
  }

  /** Bytes of output received so far, on the session's count. */
  get position(): number {
    return this.seq ?? 0;
  }

  /** Bytes of input that no acknowledgement has come for yet. */
  get unacknowledged(): number {
    return this.typed - this.taken;
  }

  connect(): void {
    this.attempt += 1;
    this.refusal = null;
    this.retryAfter = 0;
    this.options.token().then(
      (token) => this.open(token),
      (error: unknown) => {
        if (error instanceof ApiError && error.status < 500 && error.status !== 429) this.finish(4401, error.message);
        else this.closed(1006);
      },
    );
  }

  /** Types `text`; kept until the server says that the terminal took it. */
  input(text: string): void {
    for (let at = 0; at < text.length;) {
      const end = pieceEnd(text, at);
      const piece = text.slice(at, end);
      this.typed += utf8Length(piece);
      const pending = { text: piece, seq: this.typed };
      this.pending.push(pending);
      if (this.welcomed) this.type(pending);
      at = end;
    }
  }

  /** Asks for the screen as it stands, instead of the output up to it: for who fell behind. Lost with the connection. */
  paint(): void {
    if (this.welcomed) this.send({ type: 'screen' });
  }

  resize(cols: number, rows: number): void {
    this.size = { cols, rows };
    if (this.welcomed) this.send({ type: 'resize', cols, rows });
  }

  /** Leaves when the terminal has taken what was typed, or cannot be reached; the shell goes on. */
  leave(patienceMs = LEAVE_MS): void {
    if (this.pending.length === 0) this.close();
    else this.leaving ??= setTimeout(() => this.close(), patienceMs);
  }

  /** Leaves the session at once; the shell goes on. */
  close(): void {
    this.finish(1000, null);
  }

  /** Drops the connection as a bad network would, with whatever is under way; it comes back by itself. */
  drop(): void {
    const { socket } = this;
    if (!socket) return;
    this.closed(1006);
    socket.close();
  }

  private open(token: string): void {
    if (this.ended) return;
    const url = new URL(
      `${this.options.url.replace(/^http/, 'ws').replace(/\/+$/, '')}/api/v1/ws/terminal/${this.options.environmentId}`,
    );
    url.searchParams.set('cols', String(this.size.cols));
    url.searchParams.set('rows', String(this.size.rows));
    // What was sent and what arrived differ by all that a network holds: only acknowledged output may leave the server's buffer.
    url.searchParams.set('ack', '1');
    if (this.sessionId !== null) url.searchParams.set('session_id', this.sessionId);
    if (this.sessionId !== null && this.seq !== null) url.searchParams.set('after', String(this.seq));
    if (this.clientId !== null) url.searchParams.set('client_id', this.clientId);
    const spoken: TerminalProtocol[] = this.options.protocol === 'binary' ? ['binary', 'json'] : ['json'];
    const protocols = [...spoken.map((one) => SUBPROTOCOLS[one]), `bearer.${token}`];
    const socket = this.options.openSocket?.(url.href, protocols) ?? (new WebSocket(url, protocols) as unknown as Socket);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.silent = false;
    this.heartbeat ??= setInterval(() => this.beat(), this.options.pingEveryMs ?? PING_EVERY_MS);
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      this.silent = false;
      this.wire = socket.protocol === SUBPROTOCOLS.binary ? binaryWire : jsonWire;
      const received = this.wire.read(data);
      if (received?.type === 'output') this.output(received.data, received.seq);
      else if (received) this.receive(received.message);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.socket) this.closed(code);
    };
    socket.onerror = () => undefined; // a close follows
  }

  /** Also of a connection that does not come about. */
  private beat(): void {
    if (!this.socket) return;
    if (this.silent) {
      this.drop();
      return;
    }
    this.silent = true;
    if (this.welcomed) this.send({ type: 'ping' });
  }

  private output(data: string | Uint8Array, seq: number): void {
    this.seq = seq;
    const { onOutput, onBytes } = this.options;
    const replayed = seq <= this.replayUntil;
    const rendered = onBytes?.(typeof data === 'string' ? encoder.encode(data) : data, seq, replayed);
    if (onOutput) {
      const text = typeof data === 'string' ? this.decoder.decode() + data : this.decoder.decode(data, { stream: true });
      if (text !== '') onOutput(text, seq, replayed);
    }
    if (rendered) void rendered.then(() => this.rendered(seq));
    else this.rendered(seq);
  }

  private rendered(seq: number): void {
    if (this.welcomed && seq - this.acknowledged >= ACK_EVERY_BYTES) this.acknowledge(seq);
  }

  private receive(message: Readonly<Record<string, unknown>>): void {
    const { type, seq, code } = message;
    switch (type) {
      case 'welcome':
        this.welcome(message);
        break;
      case 'gap':
        if (typeof seq !== 'number') break;
        this.seq = seq;
        this.acknowledge(seq);
        this.missed(Number(message.bytes), seq);
        break;
      case 'screen':
        this.painted(Number(seq), message);
        break;
      case 'input_ack':
        this.took(Number(seq));
        break;
      case 'status':
        this.options.onStatus?.(String(message.status));
        break;
      case 'exit':
        this.exit = {
          code: typeof code === 'number' ? code : null,
          signal: typeof message.signal === 'string' ? message.signal : null,
          reason: String(message.reason),
        };
        break;
      case 'error':
        this.refusal = String(code);
        if (typeof message.retry_after_ms === 'number') this.retryAfter = message.retry_after_ms;
        this.options.onError?.(String(code), String(message.message));
        break;
      default:
        break; // clients ignore what they do not know
    }
  }

  private welcome(message: Readonly<Record<string, unknown>>): void {
    const { session_id, client_id, seq, gap, replay_until, input_seq } = message;
    const resumed = this.sessionId !== null && this.seq !== null;
    if (typeof session_id === 'string') this.sessionId = session_id;
    if (typeof client_id === 'string') this.clientId = client_id;
    if (resumed && Number(gap) > 0) this.missed(Number(gap), Number(seq));
    this.seq = Number(seq);
    this.acknowledged = this.seq;
    this.replayUntil = Number(replay_until);
    this.attempt = 0;
    this.welcomed = true;
    if (!this.counted) this.countFrom(Number(input_seq));
    else if (Number(input_seq) < this.taken) this.countAnew(Number(input_seq));
    this.took(Number(input_seq));
    // Keys typed one by one while there was no connection go together.
    this.pending = joined(this.pending);
    for (const piece of this.pending) this.type(piece);
    if (message.cols !== this.size.cols || message.rows !== this.size.rows) this.send({ type: 'resize', ...this.size });
    this.renewal ??= setInterval(() => this.renew(), RENEW_EVERY_MS);
    this.options.onConnected?.(message);
  }

  /** A client id that typed before: its count goes on. Nothing has been sent before the first welcome. */
  private countFrom(before: number): void {
    this.counted = true;
    this.typed += before;
    this.pending = this.pending.map(({ text, seq }) => ({ text, seq: seq + before }));
  }

  /** The terminal knows of less than it had taken: it keeps the counts of so many clients only, and this one's was forgotten. */
  private countAnew(known: number): void {
    this.taken = this.typed = known;
    this.pending = this.pending.map(({ text }) => ({ text, seq: (this.typed += utf8Length(text)) }));
  }

  private took(seq: number): void {
    this.taken = Math.max(this.taken, seq);
    this.pending = this.pending.filter((piece) => piece.seq > seq);
    if (this.leaving && this.pending.length === 0) this.close();
  }

  private painted(seq: number, { cols, rows, data }: Readonly<Record<string, unknown>>): void {
    this.seq = seq;
    this.decoder = newDecoder();
    this.options.onScreen?.({ seq, cols: Number(cols), rows: Number(rows), data: String(data) });
    this.acknowledge(seq);
  }

  /** What comes next begins a character. */
  private missed(bytes: number, seq: number): void {
    this.decoder = newDecoder();
    this.options.onGap?.(bytes, seq);
  }

  private acknowledge(seq: number): void {
    this.acknowledged = seq;
    this.send({ type: 'ack', seq });
  }

  private renew(): void {
    this.options.token().then(
      (token) => this.send({ type: 'auth', token }),
      () => undefined, // the server ends the socket when the token expires, and the next connection tells why
    );
  }

  private closed(code: number): void {
    this.socket = null;
    this.welcomed = false;
    if (this.ended) return;
    const givenUp = this.options.attempts !== undefined && this.attempt >= this.options.attempts;
    const refusedForGood = code === 4401 && this.refusal !== 'token_expired';
    if (this.exit || FINAL.has(code) || refusedForGood || givenUp) {
      this.finish(code, this.refusal);
      return;
    }
    this.options.onDisconnected?.(code);
    const wait = this.options.backoff?.(this.attempt + 1) ?? Math.min(5_000, 100 * 2 ** this.attempt) * (0.5 + Math.random() / 2);
    this.retry = setTimeout(() => this.connect(), Math.max(wait, this.retryAfter));
  }

  private finish(code: number, error: string | null): void {
    if (this.ended) return;
    this.ended = true;
    if (this.retry) clearTimeout(this.retry);
    if (this.leaving) clearTimeout(this.leaving);
    if (this.renewal) clearInterval(this.renewal);
    if (this.heartbeat) clearInterval(this.heartbeat);
    const { socket } = this;
    this.socket = null;
    socket?.close(1000);
    this.options.onEnd({ exit: this.exit, code, error });
  }

  private send(message: Readonly<Record<string, unknown>>): void {
    if (this.socket?.readyState === OPEN) this.socket.send(this.wire.message(message));
  }

  private type({ text, seq }: Pending): void {
    if (this.socket?.readyState === OPEN) this.socket.send(this.wire.input(text, seq));
  }
}

/** The same input in as few pieces as it has room in. Halves of a character that were typed apart stay apart: they were counted so. */
function joined(pieces: readonly Pending[]): Pending[] {
  const whole: Pending[] = [];
  for (const { text, seq } of pieces) {
    const last = whole.at(-1);
    if (last && last.text.length + text.length <= PIECE && !endsInHalf(last.text))
      whole[whole.length - 1] = { text: last.text + text, seq };
    else whole.push({ text, seq });
  }
  return whole;
}

/** Where the piece that begins at `at` ends: never between the halves of a surrogate pair. */
function pieceEnd(text: string, at: number): number {
  const end = Math.min(text.length, at + PIECE);
  return end < text.length && endsInHalf(text.slice(at, end)) ? end + 1 : end;
}

/** With the first half of a surrogate pair. */
function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

const encoder = new TextEncoder();

/** A byte order mark is output as any other. */
function newDecoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}

function utf8Length(text: string): number {
  return encoder.encode(text).length;
}
