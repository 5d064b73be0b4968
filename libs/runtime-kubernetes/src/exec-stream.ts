import { RuntimeError } from '@devpocket/runtime';
import { type IncomingMessage } from 'node:http';
import WebSocket, { type RawData } from 'ws';
import { type ApiClient, errorOf } from './api-client';
import { ApiError, toRuntimeError } from './api-error';
import { type KubeStatus } from './kube-objects';

export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** Does it take input? */
  readonly stdin: boolean;
}

/** `ended`: the program's own end. `broken`: the connection's; nothing is known of the program. */
export type ExecEnd =
  | { readonly kind: 'ended'; readonly code: number; readonly message: string | null }
  | { readonly kind: 'broken'; readonly message: string };

type OnOutput = (chunk: Buffer, channel: 'stdout' | 'stderr') => void;

/** The first also ends a program's input while its output goes on. */
const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3 };
const OPEN_MS = 15_000;
/** Load balancers forget a silent connection after a minute or so. */
const PING_MS = 20_000;
const DEAD_MS = 65_000;
const FRAME_BYTES = 32_768;
/** The most that a program of ours has to say; what is in a container is its user's and may say more. */
const MOST_SAID_BYTES = 1_048_576;

/**
 * One program run in a container, over a WebSocket of the API. What it prints is handed over in order; what is written counts as
 * taken when the connection took it. An error never holds the request or its keys.
 */
export class ExecStream {
  readonly end: Promise<ExecEnd>;
  private settle: (end: ExecEnd) => void = () => undefined;
  private onOutput: OnOutput | null = null;
  /** Came before anybody listened. */
  private early: { readonly chunk: Buffer; readonly channel: 'stdout' | 'stderr' }[] = [];
  private over: ExecEnd | null = null;
  private heardAt = performance.now();
  private readonly pinger: NodeJS.Timeout;

  private constructor(private readonly socket: WebSocket) {
    this.end = new Promise((resolve) => (this.settle = resolve));
    socket.on('message', (data: RawData) => this.receive(data));
    socket.on('pong', () => (this.heardAt = performance.now()));
    socket.on('error', (error) => this.finish({ kind: 'broken', message: error.message }));
    socket.on('close', (code) => this.finish({ kind: 'broken', message: `The connection closed (${code})` }));
    this.pinger = setInterval(() => this.ping(), PING_MS).unref();
  }

  /** @throws RuntimeError `gone` where there is no such container running */
  static async open(api: ApiClient, request: ExecRequest): Promise<ExecStream> {
    const { server, streamAgent } = api.credentials;
    const path = `/api/v1/namespaces/${request.namespace}/pods/${request.pod}/exec`;
    const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
    url.protocol = 'wss:';
    for (const [name, value] of Object.entries({ stdin: request.stdin, stdout: true, stderr: true, tty: false }))
      url.searchParams.set(name, String(value));
    url.searchParams.set('container', request.container);
    for (const word of request.command) url.searchParams.append('command', word);
    const headers = await api.credentials.headers();
    const socket = new WebSocket(url, PROTOCOLS, {
      headers,
      agent: streamAgent,
      handshakeTimeout: OPEN_MS,
      perMessageDeflate: false,
    });
    try {
      return await new Promise<ExecStream>((resolve, reject) => {
        // Made before the first message can come.
        socket.once('open', () => resolve(new ExecStream(socket)));
        socket.once('error', (error) => reject(new ApiError(0, error.message)));
        socket.once('unexpected-response', (_request, response: IncomingMessage) => {
          void errorOf(response).then(reject);
        });
      });
    } catch (error) {
      socket.terminate();
      throw refusal(error);
    }
  }

  /** Begins the flow of output. Call once. */
  attach(onOutput: OnOutput): void {
    this.onOutput = onOutput;
    for (const { chunk, channel } of this.early.splice(0)) onOutput(chunk, channel);
    if (this.over) this.settle(this.over);
  }

  /** @throws RuntimeError `gone` when it has ended */
  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += FRAME_BYTES) await this.send(CHANNEL.stdin, bytes.subarray(at, at + FRAME_BYTES));
  }

  /** Lets go of the connection. */
  close(): void {
    this.finish({ kind: 'broken', message: 'The connection was let go' });
  }

  private send(channel: number, bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new RuntimeError('gone', 'The program has ended'));
      if (this.over) gone();
      else this.socket.send(Buffer.concat([Buffer.from([channel]), bytes]), (error) => (error ? gone() : resolve()));
    });
  }

  private receive(data: RawData): void {
    if (this.over) return; // what was still in the socket when it was let go
    this.heardAt = performance.now();
    const frame = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    const payload = frame.subarray(1);
    switch (frame[0]) {
      case CHANNEL.stdout:
      case CHANNEL.stderr: {
        const channel = frame[0] === CHANNEL.stdout ? 'stdout' : 'stderr';
        if (payload.length === 0) return;
        if (this.onOutput) this.onOutput(payload, channel);
        else this.early.push({ chunk: payload, channel });
        return;
      }
      case CHANNEL.status:
        return this.finish(endOf(payload.toString('utf8')));
      default:
        return; // the end of one channel, which the status tells
    }
  }

  private finish(end: ExecEnd): void {
    if (this.over) return;
    this.over = end;
    clearInterval(this.pinger);
    this.socket.terminate();
    if (this.onOutput) this.settle(end);
  }

  private ping(): void {
    if (performance.now() - this.heardAt > DEAD_MS) {
      this.finish({ kind: 'broken', message: 'The connection is silent' });
      return;
    }
    this.socket.ping();
  }
}

/** What the status channel says: a program's code, or why it could not be run. */
export function endOf(text: string): ExecEnd {
  let status: KubeStatus;
  try {
    status = JSON.parse(text) as KubeStatus;
  } catch {
    return { kind: 'broken', message: 'The end of the program was not readable' };
  }
  if (status.status === 'Success') return { kind: 'ended', code: 0, message: null };
  const cause = status.details?.causes?.find(({ reason }) => reason === 'ExitCode');
  const code = Number(cause?.message ?? NaN);
  if (Number.isInteger(code)) return { kind: 'ended', code, message: status.message ?? null };
  return { kind: 'broken', message: status.message ?? 'The program could not be run' };
}

/** The API answers 404 without the pod, 400 or 500 without the container in it. */
function refusal(error: unknown): RuntimeError {
  const told = toRuntimeError(error);
  const status = error instanceof ApiError ? error.status : 0;
  const absent = status >= 400 && /not found|not running|not valid for pod|completed pod|is waiting to start/i.test(told.message);
  return absent ? new RuntimeError('gone', told.message) : told;
}

/** Runs a program to its end. @throws RuntimeError `unreachable` when that takes too long or the connection breaks */
export async function execute(
  api: ApiClient,
  request: Omit<ExecRequest, 'stdin'>,
  timeoutMs: number,
): Promise<{ readonly code: number; readonly stdout: string }> {
  const stream = await ExecStream.open(api, { ...request, stdin: false });
  const timer = setTimeout(() => stream.close(), timeoutMs);
  let stdout = '';
  stream.attach((chunk, channel) => {
    if (channel === 'stdout') stdout += chunk.toString('latin1');
    if (stdout.length > MOST_SAID_BYTES) stream.close();
  });
  const end = await stream.end;
  clearTimeout(timer);
  if (end.kind === 'broken') throw new RuntimeError('unreachable', end.message);
  return { code: end.code, stdout: Buffer.from(stdout, 'latin1').toString('utf8') };
}
