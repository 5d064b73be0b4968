import { type InputMark, RuntimeError, type TerminalExit } from '@devpocket/runtime';
import { randomBytes } from 'node:crypto';
import { existsSync, openSync, closeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptorPassing, type DescriptorPassing, TOKEN_BYTES } from './descriptor-passing';
import {
  allowFrame,
  type Attached,
  type Frame,
  FrameError,
  FrameReader,
  HOST_PROTOCOL,
  type HostRequest,
  inputFrame,
  jsonFrame,
  MOST_FRAME_BYTES,
  TAKEN,
} from './host-protocol';
import { SEARCH_PATH } from './search-path';
import { spawnSealed } from './spawn-sealed';
import { descriptorPath, type Layout } from './layout';

const READY_MS = 10_000;
/** MiB that the host lets pile up before it looks what is still used: it hardly allocates. */
const NEW_SPACE = '--max-semi-space-size=2';
const READ_BYTES = 262_144;
/** The host may not have seen yet that the server before this one is gone. */
const TAKEN_MS = 1_000;

/** How long an answer may take; input is taken when its program reads it, whenever that is. */
const PATIENCE_MS = 15_000;
/** What waits for processes to come or go, or for files to be removed. */
const LONG_PATIENCE_MS = 120_000;
const LONG: ReadonlySet<HostRequest['op']> = new Set(['start', 'destroy', 'shutdown']);

export interface HostClientOptions {
  readonly layout: Layout;
  readonly bufferBytes: number;
  readonly graceMs: number;
  /** The program of the host's process; null: the one that leaves sessions to the server. */
  readonly program: string | null;
  /** Of every question, for tests. */
  readonly patienceMs?: number;
}

/** Where an attachment's output and end go. */
export interface Receiver {
  /** @param bytes good only while it is called */
  output(bytes: Buffer): void;
  exit(exit: TerminalExit): void;
}

interface HostMessage {
  readonly re?: number;
  readonly ok?: unknown;
  readonly error?: string;
  readonly event?: 'exit' | 'front';
  readonly message?: unknown;
  readonly handle?: number;
  readonly exit?: TerminalExit;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RuntimeError) => void;
}

/** What a host says of itself. */
interface Hello {
  readonly version: number;
  /** It can hold sessions, and serve their clients. */
  readonly fronts: boolean;
}

const LOST: TerminalExit = { code: null, signal: null, reason: 'killed' };

/** The server's side of the connection to the PTY host. Starts one where there is none. */
export class HostClient {
  private socket: Socket | null = null;
  private connecting: Promise<Socket> | null = null;
  private lastId = 0;
  private readonly waiting = new Map<number, Waiting>();
  private readonly inputs = new Map<number, { resolve(): void; reject(error: RuntimeError): void }>();
  private readonly receivers = new Map<number, Receiver>();
  private closed = false;
  /** How and where the host takes connections; null: it does not. */
  private passing: { readonly by: DescriptorPassing; readonly to: string } | null = null;
  private onFront: (message: unknown) => void = () => undefined;
  private onFrontLost: () => void = () => undefined;
  /** What comes over the socket. */
  private take: (chunk: Buffer) => void = () => undefined;

  constructor(private readonly options: HostClientOptions) {}

  async open(): Promise<void> {
    await this.connected();
  }

  /** Does the host hold sessions? Known when it is open. */
  get fronts(): boolean {
    return this.passing !== null;
  }

  /** @see SessionProcess.give */
  give(descriptor: number): string {
    const { passing } = this;
    if (!passing) throw new RuntimeError('unreachable', 'The PTY host takes no connections');
    const name = randomBytes(TOKEN_BYTES);
    try {
      passing.by.send(passing.to, descriptor, name);
    } catch (error) {
      throw new RuntimeError('unreachable', `The PTY host does not take a connection: ${String(error)}`);
    }
    return name.toString('hex');
  }

  /** @see SessionProcess.listen */
  listen(onMessage: (message: unknown) => void, onLost: () => void): void {
    this.onFront = onMessage;
    this.onFrontLost = onLost;
  }

  /** Lets go; the host waits out its grace time. */
  close(): void {
    this.closed = true;
    this.socket?.destroy();
  }

  /** Resolves when the host has left, after a `shutdown`. */
  gone(): Promise<void> {
    const { socket } = this;
    this.closed = true;
    return socket ? new Promise((resolve) => void socket.once('close', () => resolve())) : Promise.resolve();
  }

  /** @throws RuntimeError `gone` where the host says so, `unreachable` when it does not answer */
  async ask<T>(request: HostRequest): Promise<T> {
    const socket = await this.connected();
    return (await this.send(socket, (id) => jsonFrame({ ...request, id }), this.patienceFor(request.op))) as T;
  }

  async attach(sessionId: string, receiverOf: (attached: Attached) => Receiver): Promise<Attached> {
    const socket = await this.connected();
    // The output follows the answer at once: the receiver must be there when it is read.
    const attached = (await this.send(
      socket,
      (id) => jsonFrame({ op: 'attach', sessionId, id }),
      this.patienceFor('attach'),
      (answer) => {
        const value = answer as Attached;
        this.receivers.set(value.handle, receiverOf(value));
      },
    )) as Attached;
    return attached;
  }

  /** Resolves when the PTY took it, whenever its program reads. @throws RuntimeError `gone | unreachable` */
  write(handle: number, bytes: Buffer, mark?: InputMark): Promise<void> {
    const { socket } = this;
    if (!socket) return Promise.reject(new RuntimeError('unreachable', 'The PTY host went away'));
    const id = this.newId();
    return new Promise((resolve, reject) => {
      this.inputs.set(id, { resolve, reject });
      socket.write(inputFrame({ id, handle, mark }, bytes));
    });
  }

  allow(handle: number, position: number): void {
    if (this.socket?.writable) this.socket.write(allowFrame(handle, position));
  }

  drop(handle: number): void {
    this.receivers.delete(handle);
  }

  /** Of 32 bits; so many are never waited for at once. */
  private newId(): number {
    this.lastId = this.lastId === 0xffffffff ? 1 : this.lastId + 1;
    return this.lastId;
  }

  private patienceFor(op: HostRequest['op']): number {
    return this.options.patienceMs ?? (LONG.has(op) ? LONG_PATIENCE_MS : PATIENCE_MS);
  }

  /** @param patienceMs null: for as long as the connection lasts */
  private send(
    socket: Socket,
    frameOf: (id: number) => Buffer,
    patienceMs: number | null,
    onAnswer?: (value: unknown) => void,
  ): Promise<unknown> {
    const id = this.newId();
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.waiting.delete(id);
        reject(new RuntimeError('unreachable', 'The PTY host does not answer'));
      };
      const timer = patienceMs === null ? undefined : setTimeout(late, patienceMs).unref();
      this.waiting.set(id, {
        resolve: (value) => {
          clearTimeout(timer);
          onAnswer?.(value);
          resolve(value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      socket.write(frameOf(id));
    });
  }

  private connected(): Promise<Socket> {
    if (this.closed) return Promise.reject(new RuntimeError('unreachable', 'The local runtime is closed'));
    if (this.socket) return Promise.resolve(this.socket);
    this.connecting ??= this.reach().finally(() => (this.connecting = null));
    return this.connecting;
  }

  /** Joins the host that is there, or starts one; one of another version is ended first. */
  private async reach(): Promise<Socket> {
    const path = this.options.layout.hostSocket();
    const begun = Date.now();
    const deadline = begun + READY_MS;
    let started = false;
    while (Date.now() < deadline) {
      const socket = await tryConnect(path, (chunk) => this.take(chunk));
      if (!socket) {
        if (!started) this.start(path);
        started = true;
        await delay(10);
        continue;
      }
      this.adopt(socket);
      const hello = await this.hello(socket);
      const by = descriptorPassing();
      if (hello !== TAKEN && hello.version === HOST_PROTOCOL && (!hello.fronts || by)) {
        this.passing = hello.fronts && by ? { by, to: descriptorPath(path) } : null;
        return socket;
      }
      if (hello === TAKEN) {
        if (Date.now() - begun > TAKEN_MS)
          throw new RuntimeError(
            'refused',
            `Another server uses ${this.options.layout.dataDir}. Stop it, or use another DATA_DIR.`,
          );
        await delay(50);
        continue;
      }
      await this.send(socket, (id) => jsonFrame({ op: 'shutdown', id }), this.patienceFor('shutdown'));
      await new Promise((resolve) => socket.once('close', resolve));
    }
    throw new RuntimeError('unreachable', 'The PTY host does not answer');
  }

  private async hello(socket: Socket): Promise<Hello | typeof TAKEN> {
    try {
      return (await this.send(
        socket,
        (id) => jsonFrame({ op: 'hello', version: HOST_PROTOCOL, id }),
        this.patienceFor('hello'),
      )) as Hello;
    } catch (error) {
      if (error instanceof RuntimeError && error.message === TAKEN) return TAKEN;
      throw error;
    }
  }

  private start(socketPath: string): void {
    const { layout, bufferBytes, graceMs } = this.options;
    const out = openSync(layout.hostLog, 'a', 0o600);
    const child = spawnSealed(
      process.execPath,
      [
        NEW_SPACE,
        this.options.program ?? hostFile(),
        layout.dataDir,
        socketPath,
        String(bufferBytes),
        String(graceMs),
        process.cwd(),
      ],
      {
        detached: true,
        cwd: '/',
        env: { PATH: SEARCH_PATH, LANG: 'C.UTF-8' },
        stdio: ['ignore', out, out],
      },
    );
    child.on('error', () => undefined); // the connection that does not come tells
    child.unref();
    closeSync(out);
  }

  private adopt(socket: Socket): void {
    this.socket = socket;
    const reader = new FrameReader(MOST_FRAME_BYTES.answer);
    const hear = (frame: Frame): void => {
      if (frame.kind === 'output') this.receivers.get(frame.handle)?.output(frame.bytes);
      else if (frame.kind === 'taken') this.taken(frame.id, frame.ok);
      else if (frame.kind === 'json') this.receive(frame.value as HostMessage);
    };
    this.take = (chunk) => {
      try {
        reader.push(chunk, hear);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        socket.destroy(); // it does not speak as a host does
      }
    };
    socket.on('error', () => undefined); // a close follows
    socket.on('close', () => this.lost(socket));
  }

  private taken(id: number, ok: boolean): void {
    const input = this.inputs.get(id);
    this.inputs.delete(id);
    if (ok) input?.resolve();
    else input?.reject(gone());
  }

  private receive(message: HostMessage): void {
    if (message.event === 'front') {
      this.onFront(message.message);
      return;
    }
    if (message.event === 'exit' && message.handle !== undefined && message.exit) {
      const receiver = this.receivers.get(message.handle);
      this.receivers.delete(message.handle);
      receiver?.exit(message.exit);
      return;
    }
    const waiting = this.waiting.get(message.re ?? 0);
    this.waiting.delete(message.re ?? 0);
    if (message.error === undefined) waiting?.resolve(message.ok);
    else waiting?.reject(message.error === 'gone' ? gone() : new RuntimeError('refused', message.error));
  }

  /** The host is gone: so are its shells, unless it was this side that let go. */
  private lost(socket: Socket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    for (const { reject } of [...this.waiting.values(), ...this.inputs.values()])
      reject(new RuntimeError('unreachable', 'The PTY host went away'));
    this.waiting.clear();
    this.inputs.clear();
    const receivers = [...this.receivers.values()];
    this.receivers.clear();
    if (!this.closed) for (const receiver of receivers) receiver.exit(LOST);
    this.onFrontLost();
  }
}

function gone(): RuntimeError {
  return new RuntimeError('gone', 'The shell or its environment is gone');
}

/** Reads into one buffer, again and again: what comes is copied once, to where it is kept. */
function tryConnect(path: string, take: (chunk: Buffer) => void): Promise<Socket | null> {
  return new Promise((resolve) => {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const callback = (length: number): boolean => {
      take(buffer.subarray(0, length));
      return true;
    };
    const socket = connect({ path, onread: { buffer, callback } });
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', () => resolve(null));
  });
}

/** A process of its own runs compiled code; started from a source file (in a test) it is the build's. */
function hostFile(): string {
  const beside = join(__dirname, 'pty-host.js');
  if (existsSync(beside)) return beside;
  const built = join(__dirname, '../../../dist/libs/runtime-local/src/pty-host.js');
  if (!existsSync(built)) throw new RuntimeError('unreachable', 'The local runtime is not built yet: run `npm run build`');
  return built;
}
