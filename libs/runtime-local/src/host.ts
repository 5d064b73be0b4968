import { BufferPool } from '@devpocket/kernel';
import { RuntimeError, type Sighting, type TerminalChannel, type TerminalRequest } from '@devpocket/runtime';
import { chmodSync, closeSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { detectCapabilities } from './capabilities';
import { descriptorPassing, type DescriptorReceiver } from './descriptor-passing';
import { DirectShell } from './direct-shell';
import { Cgroups } from './cgroup';
import { removeFolder } from './folder';
import { HostEnvironment, type HostContext } from './host-environment';
import {
  type Attached,
  FrameReader,
  HOST_PROTOCOL,
  type HostRequest,
  type InputHeader,
  jsonFrame,
  MOST_FRAME_BYTES,
  OUTPUT_FRAME_BYTES,
  outputFrame,
  TAKEN,
  takenFrame,
} from './host-protocol';
import { type FrontMaker, type FrontNeeds, type HostFront } from './host-front';
import { HostSession } from './host-session';
import { foregroundBusy, hangUp, type HostShell, type OpenedShell } from './host-shell';
import { descriptorPath, Layout } from './layout';
import { keepSmall } from './small-log';

/** How long the end of a shell is remembered (contract §6). */
const REMEMBER_MS = 10 * 60_000;
const FIRST_MS = 10_000;
/** That so little was taken need not be told sooner than this. */
const KEY_BYTES = 256;
const ANSWER_MS = 1;

interface HostOptions {
  readonly front: FrontMaker | null;
  readonly graceMs: number;
  readonly bufferBytes: number;
}

class Host {
  private readonly environments = new Map<string, HostEnvironment>();
  private readonly handles = new Map<number, HostSession>();
  private server: Socket | null = null;
  private nextHandle = 1;
  /** What became of input: not told yet. */
  private answers: Buffer[] = [];
  private answering: NodeJS.Timeout | null = null;
  private lonely: NodeJS.Timeout | null = null;

  private readonly front: HostFront | null;
  /** Descriptors of connections that were given to this process and are not asked for yet, by name. */
  private readonly given = new Map<string, number>();

  constructor(
    private readonly context: HostContext,
    private readonly options: HostOptions,
    private readonly receiver: DescriptorReceiver | null,
    private readonly leave: () => void,
  ) {
    const needs: FrontNeeds = {
      bufferBytes: options.bufferBytes,
      open: (environmentId, request) => this.openDirect(environmentId, request),
      tell: (message) => {
        if (this.server) send(this.server, jsonFrame({ event: 'front', message }));
      },
      connection: (name) => this.connection(name),
      log: context.log,
    };
    this.front = receiver && options.front ? options.front(needs) : null;
    // The server that started it is about to connect, whatever the grace time.
    this.beLonely(Math.max(options.graceMs, FIRST_MS));
    setInterval(() => this.forgetOld(), 30_000).unref();
  }

  /** A server has come. A second one beside it is refused: the terminals of the first would end. */
  accept(socket: Socket): void {
    this.server ??= socket;
    if (this.lonely) clearTimeout(this.lonely);
    const reader = new FrameReader(MOST_FRAME_BYTES.request);
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk, (frame) => {
          if (frame.kind === 'json') void this.request(socket, frame.value as HostRequest & { id: number });
          else if (socket !== this.server) socket.destroy();
          else if (frame.kind === 'input') this.input(frame.header, frame.bytes);
          else if (frame.kind === 'allow') this.handles.get(frame.handle)?.allow(frame.position);
        });
      } catch (error) {
        this.context.log(`closing a connection: ${String(error)}`);
        socket.destroy();
      }
    });
    socket.on('error', () => undefined); // a close follows
    socket.on('close', () => {
      if (this.server !== socket) return;
      this.server = null;
      for (const session of this.handles.values()) session.detach();
      this.handles.clear();
      this.answers = [];
      this.front?.lost();
      this.takeGiven();
      for (const descriptor of this.given.values()) closeSync(descriptor);
      this.given.clear();
      this.beLonely();
    });
  }

  async end(): Promise<void> {
    await Promise.all([...this.environments.values()].map((environment) => environment.end('killed')));
    this.leave();
  }

  private beLonely(ms = this.options.graceMs): void {
    this.lonely = setTimeout(() => {
      this.context.log('no server came back in time: ending every shell');
      void this.end();
    }, ms);
  }

  private async request(socket: Socket, request: HostRequest & { readonly id: number }): Promise<void> {
    if (socket !== this.server) {
      send(socket, jsonFrame({ re: request.id, error: TAKEN }));
      socket.end();
      return;
    }
    let answer: unknown;
    try {
      answer = { re: request.id, ok: await this.answer(socket, request) };
    } catch (error) {
      answer = { re: request.id, error: messageOf(error) };
    }
    const after =
      typeof answer === 'object' &&
      answer !== null &&
      'ok' in answer &&
      typeof answer.ok === 'object' &&
      answer.ok !== null &&
      'begin' in answer.ok
        ? answer.ok
        : null;
    let frame = jsonFrame(after ? { re: request.id, ok: { ...after, begin: undefined } } : answer);
    if (frame.length > MOST_FRAME_BYTES.answer) frame = jsonFrame({ re: request.id, error: 'the answer is too large' });
    send(socket, frame);
    if (after && typeof after.begin === 'function') (after.begin as () => void)();
  }

  private async answer(socket: Socket, request: HostRequest): Promise<unknown> {
    switch (request.op) {
      case 'hello':
        return { version: HOST_PROTOCOL, fronts: this.front !== null };
      case 'look':
        return this.look(request.environmentId);
      case 'start': {
        const { environmentId, install } = request.spec;
        const environment = this.find(environmentId) ?? this.add(HostEnvironment.create(environmentId, install, this.context));
        await environment.start(request.spec);
        return null;
      }
      case 'stop':
        this.find(request.environmentId)?.stop(request.incarnation, request.graceMs, request.kill);
        return null;
      case 'destroy':
        await this.destroy(request.environmentId);
        return null;
      case 'usage':
        return Object.fromEntries(request.environmentIds.map((id) => [id, this.environments.get(id)?.usage() ?? null]));
      case 'open': {
        const { environmentId, sessionId, cols, rows } = request;
        const { bufferBytes } = this.options;
        const make = (opened: OpenedShell): HostShell => new HostSession(sessionId, opened, { cols, rows }, bufferBytes);
        if (!this.find(environmentId)?.open(sessionId, { cols, rows }, make)) throw new Error('gone');
        return null;
      }
      case 'records':
        return [...(this.find(request.environmentId)?.sessions.values() ?? [])]
          .filter((shell) => shell instanceof HostSession)
          .map((session) => session.record());
      case 'front':
        if (!this.front) throw new Error('no front');
        return this.front.answer(request.message);
      case 'attach':
        return this.attach(socket, this.session(request.sessionId));
      case 'detach':
        this.drop(this.session(request.sessionId));
        return null;
      case 'resize':
        this.session(request.sessionId).resize(request.cols, request.rows);
        return null;
      case 'kill':
        hangUp(this.session(request.sessionId));
        return null;
      case 'foreground':
        return foregroundBusy(this.session(request.sessionId));
      case 'shutdown':
        setImmediate(() => void this.end());
        return null;
    }
  }

  /** A folder that a crash left half made or half removed is there: what follows, a start or a removal, puts it right. */
  private look(environmentId: string): Sighting {
    const sighting = this.find(environmentId)?.sighting();
    if (sighting) return sighting;
    if (!existsSync(this.context.layout.folder(environmentId))) return { seen: 'absent' };
    return { seen: 'stopped', incarnation: 0, reason: null, message: null };
  }

  private attach(socket: Socket, session: HostSession): Attached & { readonly begin: () => void } {
    this.drop(session);
    const handle = this.nextHandle;
    this.nextHandle += 1;
    const { start, kept, marks, begin } = session.attach({
      output: (parts) => this.output(socket, handle, parts),
      exit: (exit) => send(socket, jsonFrame({ event: 'exit', handle, exit })),
    });
    this.handles.set(handle, session);
    return { ...session.record(), handle, start, kept, marks, begin };
  }

  private drop(session: HostSession): void {
    for (const [handle, other] of this.handles) if (other === session) this.handles.delete(handle);
    session.detach();
  }

  private input({ id, handle, mark }: InputHeader, bytes: Buffer): void {
    const session = this.handles.get(handle);
    const done = (ok: boolean): void => {
      this.answers.push(takenFrame(id, ok));
      // What a key prints comes a moment later: that it was taken goes along.
      if (bytes.length > KEY_BYTES) this.sendAnswers();
      else this.answering ??= setTimeout(() => this.sendAnswers(), ANSWER_MS);
    };
    if (session) session.write(bytes, mark, done);
    else done(false);
  }

  private sendAnswers(): void {
    clearTimeout(this.answering ?? undefined);
    this.answering = null;
    const { answers, server } = this;
    if (server && answers.length > 0) send(server, Buffer.concat(answers));
    this.answers = [];
  }

  private output(socket: Socket, handle: number, parts: readonly Buffer[]): void {
    if (!socket.writable) return;
    socket.cork();
    this.sendAnswers();
    const buffer = outputs.take();
    socket.write(outputFrame(buffer, handle, parts), (error) => {
      if (!error) outputs.give(buffer);
    });
    socket.uncork();
  }

  private session(sessionId: string): HostSession {
    for (const environment of this.environments.values()) {
      const session = environment.sessions.get(sessionId);
      if (session instanceof HostSession) return session;
    }
    throw new Error('gone');
  }

  private find(environmentId: string): HostEnvironment | null {
    if (!/^[0-9a-f]{24}$/.test(environmentId)) throw new Error('invalid');
    const known = this.environments.get(environmentId);
    if (known) return known;
    const loaded = HostEnvironment.load(environmentId, this.context);
    return loaded && this.add(loaded);
  }

  private add(environment: HostEnvironment): HostEnvironment {
    this.environments.set(environment.id, environment);
    return environment;
  }

  /** Its processes are gone before its files are removed, so nothing can be put in the way; links are not followed. */
  private async destroy(environmentId: string): Promise<void> {
    const environment = this.find(environmentId);
    await environment?.end('environment_stopped');
    this.environments.delete(environmentId);
    await removeFolder(this.context.layout.folder(environmentId), this.context.capabilities);
    this.context.cgroups?.remove(environmentId);
  }

  private forgetOld(): void {
    for (const { sessions } of this.environments.values()) {
      for (const [id, { endedAt }] of sessions) if (endedAt !== null && endedAt < Date.now() - REMEMBER_MS) sessions.delete(id);
    }
  }

  private openDirect(environmentId: string, { sessionId, cols, rows }: TerminalRequest): TerminalChannel {
    const make = (opened: OpenedShell): HostShell => new DirectShell(sessionId, opened, { cols, rows });
    const shell = this.find(environmentId)?.open(sessionId, { cols, rows }, make);
    // Asked for by a random id, it is never one that was there.
    if (!(shell instanceof DirectShell)) throw new RuntimeError('gone', 'The environment does not run');
    return shell;
  }

  /** @see FrontNeeds.connection */
  private connection(name: string): Socket | null {
    this.takeGiven();
    const descriptor = this.given.get(name);
    if (descriptor === undefined) return null;
    this.given.delete(name);
    try {
      // As those of Node's HTTP servers are: what is under way to a client that closes its half is not cut off.
      return new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
    } catch {
      closeSync(descriptor); // it is no connection
      return null;
    }
  }

  private takeGiven(): void {
    for (const { token, descriptor } of this.receiver?.take() ?? []) this.given.set(token, descriptor);
  }
}

const outputs = new BufferPool(OUTPUT_FRAME_BYTES, 8);

function send(socket: Socket, frame: Buffer): void {
  if (socket.writable) socket.write(frame);
}

/** Runs the host, with the arguments of its process: DATA_DIR, socket path, kept output bytes, grace in ms, the server's working folder. */
export function runHost(argv: readonly string[], front: FrontMaker | null): void {
  const [dataDir = '', socketPath = '', bufferBytes = '', graceMs = '', serverFolder = ''] = argv;
  process.umask(0o077);
  // Signals of the server's terminal are the server's: it tells what they mean here.
  for (const name of ['SIGINT', 'SIGHUP'] as const) process.on(name, () => undefined);
  const layout = new Layout(dataDir);
  mkdirSync(layout.environments, { recursive: true, mode: 0o700 });
  process.stderr.on('error', () => undefined); // a full disk costs lines of its log
  const log = (message: string): void => {
    keepSmall(layout.hostLog, process.stderr.fd);
    process.stderr.write(`${new Date().toISOString()} ${message}\n`);
  };
  const context: HostContext = {
    layout,
    capabilities: detectCapabilities(),
    cgroups: Cgroups.detect(dataDir),
    serverFolders: [dataDir, serverFolder],
    log,
  };
  const leave = (): void => {
    for (const path of [socketPath, descriptorPath(socketPath)]) rmSync(path, { force: true });
    context.cgroups?.close();
    process.exit(0);
  };
  const receiver = front ? receiverAt(descriptorPath(socketPath), log) : null;
  const host = new Host(context, { front, graceMs: Number(graceMs), bufferBytes: Number(bufferBytes) }, receiver, leave);
  process.on('SIGTERM', () => void host.end());
  rmSync(socketPath, { force: true });
  const server = createServer((socket) => host.accept(socket));
  server.once('error', (error) => {
    log(`cannot listen: ${String(error)}`);
    leave();
  });
  server.listen(socketPath, () => {
    chmodSync(socketPath, 0o600);
    server.removeAllListeners('error');
    server.on('error', (error) => log(`a connection is not taken: ${String(error)}`));
    // From now on its end would be that of every shell: what a client has brought about concerns that client.
    for (const name of ['uncaughtException', 'unhandledRejection'] as const)
      process.on(name, (error: unknown) => log(`${name}: ${error instanceof Error ? error.stack : String(error)}`));
    log(`listening, process ${process.pid}`);
  });
}

/** Null: connections cannot be given to this process, and sessions stay with the server. */
function receiverAt(path: string, log: (message: string) => void): DescriptorReceiver | null {
  try {
    return descriptorPassing()?.receiver(path) ?? null;
  } catch (error) {
    log(`taking no connections at ${path}: ${String(error)}`);
    return null;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof RuntimeError && error.kind === 'gone') return 'gone';
  return error instanceof Error ? error.message : String(error);
}
