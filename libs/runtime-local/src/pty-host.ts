/*
 * The process that holds the shells: small, so that forks are fast whatever the server weighs, and apart, so that they outlive
 * it. Arguments: DATA_DIR, socket path, kept output bytes, grace in ms, the server's working folder.
 */
import { BufferPool } from '@devpocket/kernel';
import { type Sighting } from '@devpocket/runtime';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { detectCapabilities } from './capabilities';
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
  OUTPUT_FRAME_BYTES,
  outputFrame,
  TAKEN,
  takenFrame,
} from './host-protocol';
import { type HostSession } from './host-session';
import { Layout } from './layout';
import { keepSmall } from './small-log';

/** How long the end of a shell is remembered (contract §6). */
const REMEMBER_MS = 10 * 60_000;
const FIRST_MS = 10_000;
/** That so little was taken need not be told sooner than this. */
const KEY_BYTES = 256;
const ANSWER_MS = 1;

class Host {
  private readonly environments = new Map<string, HostEnvironment>();
  private readonly handles = new Map<number, HostSession>();
  private server: Socket | null = null;
  private nextHandle = 1;
  /** What became of input: not told yet. */
  private answers: Buffer[] = [];
  private answering: NodeJS.Timeout | null = null;
  private lonely: NodeJS.Timeout | null = null;

  constructor(
    private readonly context: HostContext,
    private readonly graceMs: number,
    private readonly leave: () => void,
  ) {
    // The server that started it is about to connect, whatever the grace time.
    this.beLonely(Math.max(graceMs, FIRST_MS));
    setInterval(() => this.forgetOld(), 30_000).unref();
  }

  /** A server has come. A second one beside it is refused: the terminals of the first would end. */
  accept(socket: Socket): void {
    this.server ??= socket;
    if (this.lonely) clearTimeout(this.lonely);
    const reader = new FrameReader();
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
      this.beLonely();
    });
  }

  async end(): Promise<void> {
    await Promise.all([...this.environments.values()].map((environment) => environment.end('killed')));
    this.leave();
  }

  private beLonely(ms = this.graceMs): void {
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
      answer = { re: request.id, error: error instanceof Error ? error.message : String(error) };
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
    send(socket, jsonFrame(after ? { re: request.id, ok: { ...after, begin: undefined } } : answer));
    if (after && typeof after.begin === 'function') (after.begin as () => void)();
  }

  private async answer(socket: Socket, request: HostRequest): Promise<unknown> {
    switch (request.op) {
      case 'hello':
        return { version: HOST_PROTOCOL, pid: process.pid };
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
        const session = this.find(request.environmentId)?.open(request.sessionId, request.cols, request.rows);
        if (!session) throw new Error('gone');
        return session.record();
      }
      case 'records':
        return [...(this.find(request.environmentId)?.sessions.values() ?? [])].map((session) => session.record());
      case 'attach':
        return this.attach(socket, this.session(request.sessionId));
      case 'detach':
        this.drop(this.session(request.sessionId));
        return null;
      case 'resize':
        this.session(request.sessionId).resize(request.cols, request.rows);
        return null;
      case 'kill':
        this.hangUp(this.session(request.sessionId));
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

  /** As a terminal that is closed does; what does not mind is killed a little later. */
  private hangUp(session: HostSession): void {
    if (!session.alive) return;
    session.endReason ??= 'killed';
    const shell = session.shellPid();
    for (const name of ['SIGHUP', 'SIGCONT'] as const) kill(shell, name);
    setTimeout(() => {
      if (session.alive) kill(session.shellPid(), 'SIGKILL');
    }, 1_000).unref();
  }

  private session(sessionId: string): HostSession {
    for (const environment of this.environments.values()) {
      const session = environment.sessions.get(sessionId);
      if (session) return session;
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
      for (const [id, { endedBefore }] of sessions)
        if (endedBefore !== null && endedBefore < Date.now() - REMEMBER_MS) sessions.delete(id);
    }
  }
}

const outputs = new BufferPool(OUTPUT_FRAME_BYTES, 8);

function send(socket: Socket, frame: Buffer): void {
  if (socket.writable) socket.write(frame);
}

function kill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    try {
      process.kill(pid, name);
    } catch {
      // it has ended meanwhile
    }
  }
}

function foregroundBusy(session: HostSession): boolean | null {
  return session.alive ? terminalBusy(session.shellPid()) : false;
}

/** proc(5): field 5 of stat is the process group, field 8 the terminal's foreground process group. */
function terminalBusy(shell: number): boolean | null {
  try {
    const fields = readStat(shell);
    return fields[2] !== fields[5];
  } catch {
    return null;
  }
}

function readStat(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
}

function main(): void {
  const [dataDir = '', socketPath = '', bufferBytes = '', graceMs = '', serverFolder = ''] = process.argv.slice(2);
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
    bufferBytes: Number(bufferBytes),
    serverFolders: [dataDir, serverFolder],
    log,
  };
  const leave = (): void => {
    rmSync(socketPath, { force: true });
    context.cgroups?.close();
    process.exit(0);
  };
  const host = new Host(context, Number(graceMs), leave);
  process.on('SIGTERM', () => void host.end());
  rmSync(socketPath, { force: true });
  const server = createServer((socket) => host.accept(socket));
  server.listen(socketPath, () => {
    chmodSync(socketPath, 0o600);
    log(`listening, process ${process.pid}`);
  });
}

main();
