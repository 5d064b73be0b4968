import { RingBuffer } from '@devpocket/kernel';
import { type InputMark, type TerminalExit } from '@devpocket/runtime';
import { closeSync, readFileSync, write as writeFd } from 'node:fs';
import { type ChildProcess } from 'node:child_process';
import { ReadStream } from 'node:tty';
import { spawn as spawnPty } from '@lydell/node-pty';
import { createRequire } from 'node:module';
import { SEARCH_PATH } from './search-path';
import { spawnSealed } from './spawn-sealed';
import { FRAME_COST, type HostRecord, WINDOW_BYTES } from './host-protocol';

interface NativePty {
  open(cols: number, rows: number): { readonly master: number; readonly slave: number };
  resize(fd: number, cols: number, rows: number): void;
}

/** The PTY itself: its bytes, its size and the process at its other end. */
interface Pty {
  readonly fd: number;
  readonly pid: number;
  onData(listener: (chunk: Buffer) => void): void;
  /** Called once, after the last byte. */
  onEnd(listener: (code: number | null, signal: string | null) => void): void;
  pause(): void;
  resume(): void;
  resize(cols: number, rows: number): void;
}

/** node-pty's binary opens a PTY without a process; its own module cannot without reading the program's side as well. */
function native(): NativePty {
  return createRequire(require.resolve('@lydell/node-pty'))(
    `@lydell/node-pty-${process.platform}-${process.arch}/pty.node`,
  ) as NativePty;
}

/**
 * A PTY whose program becomes the leader of its session by itself (`setsid -c`): what joins another pid namespace has to, because
 * there the leader that forkpty makes does not exist and job control would fail.
 */
export function openJoined(command: readonly string[], cols: number, rows: number): Pty {
  const { master, slave } = native().open(cols, rows);
  const [file = '', ...args] = command;
  const child: ChildProcess = spawnSealed(file, args, {
    stdio: [slave, slave, slave],
    env: { PATH: SEARCH_PATH, LANG: 'C.UTF-8' },
    cwd: '/',
  });
  closeSync(slave);
  const stream = new ReadStream(master);
  let exit: { code: number | null; signal: string | null } | null = null;
  let drained = false;
  let listener: (code: number | null, signal: string | null) => void = () => undefined;
  const settle = (): void => {
    if (exit && drained) listener(exit.code, exit.signal);
  };
  const drain = (): void => {
    if (drained) return;
    drained = true;
    settle();
  };
  let paused = false;
  let heardAt = Date.now();
  stream.on('data', () => (heardAt = Date.now()));
  // Programs in the background may hold the terminal open when its shell has gone: what is there is read, then it is over.
  const lingering = (): void => {
    if (drained) return;
    if (!paused && Date.now() - heardAt >= QUIET_MS) stream.destroy();
    setTimeout(lingering, QUIET_MS / 2);
  };
  child.once('exit', (code, signal) => {
    exit = { code, signal };
    settle();
    heardAt = Date.now();
    lingering();
  });
  child.once('error', () => {
    exit = { code: 127, signal: null };
    settle();
  });
  // EIO is how Linux tells that the last program has left (pty(7)).
  stream.on('error', drain).on('end', drain).on('close', drain);
  return {
    fd: master,
    pid: child.pid ?? 0,
    onData: (onChunk) => stream.on('data', onChunk),
    onEnd: (onEnd) => {
      listener = onEnd;
    },
    pause: () => {
      paused = true;
      stream.pause();
    },
    resume: () => {
      paused = false;
      heardAt = Date.now();
      stream.resume();
    },
    resize: (toCols, toRows) => native().resize(master, toCols, toRows),
  };
}

/** A PTY for a plain process of this machine. */
export function openPlain(command: readonly string[], cols: number, rows: number, cwd: string, env: Record<string, string>): Pty {
  const [file = '', ...args] = command;
  const pty = spawnPty(file, args, { cols, rows, cwd, env, encoding: null, name: 'xterm-256color' });
  const { fd } = pty as unknown as { readonly fd: number };
  return {
    fd,
    pid: pty.pid,
    onData: (onChunk) => (pty.onData as unknown as (listener: (chunk: Buffer) => void) => void)(onChunk),
    onEnd: (onEnd) => pty.onExit(({ exitCode, signal }) => onEnd(signal ? null : exitCode, signal ? `SIG${signal}` : null)),
    pause: () => pty.pause(),
    resume: () => pty.resume(),
    resize: (toCols, toRows) => pty.resize(toCols, toRows),
  };
}

/** Where a session's output goes while a server is attached. */
export interface Sink {
  output(bytes: Buffer): void;
  exit(exit: TerminalExit): void;
}

interface PendingWrite {
  readonly bytes: Buffer;
  readonly mark: InputMark | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const AGAIN_MS = 5;
const MOST_CLIENT_IDS = 256;
/** Of the kept output that is handed over. */
const PIECE_BYTES = 65_536;
/** Silence after a shell's end that means that nothing more is coming. */
const QUIET_MS = 100;

/** One shell: its kept output, its input marks, its end. */
export class HostSession {
  readonly createdAt = Date.now();
  private readonly marks = new Map<string, number>();
  private readonly kept: RingBuffer;
  private readonly window: number;
  private sink: Sink | null = null;
  private unacked = 0;
  private writes: PendingWrite[] = [];
  private writing = false;
  private exit: TerminalExit | null = null;
  private endedAt: number | null = null;
  /** Set before its processes are ended from outside. */
  endReason: TerminalExit['reason'] | null = null;

  constructor(
    readonly sessionId: string,
    readonly environmentId: string,
    private readonly pty: Pty,
    private size: { cols: number; rows: number },
    bufferBytes: number,
    private readonly explain: (code: number | null, signal: string | null) => TerminalExit['reason'],
  ) {
    this.kept = new RingBuffer(bufferBytes);
    this.window = Math.min(WINDOW_BYTES, bufferBytes / 4);
    pty.onData((chunk) => this.output(chunk));
    pty.onEnd((code, signal) => this.end({ code, signal, reason: this.endReason ?? this.explain(code, signal) }));
  }

  get alive(): boolean {
    return this.exit === null;
  }

  get endedBefore(): number | null {
    return this.endedAt;
  }

  get pid(): number {
    return this.pty.pid;
  }

  record(): HostRecord {
    return {
      sessionId: this.sessionId,
      createdAt: this.createdAt,
      ...this.size,
      position: this.kept.end,
      exit: this.exit,
      endedAt: this.endedAt,
    };
  }

  /** Hands the kept output over, then what follows; an end that has been comes last. */
  attach(sink: Sink): {
    readonly start: number;
    readonly kept: number;
    readonly marks: readonly (readonly [string, number])[];
    readonly begin: () => void;
  } {
    this.detach();
    const { start, end } = this.kept;
    const begin = (): void => {
      this.sink = sink;
      for (let at = start; at < end; at += PIECE_BYTES) this.send(this.kept.slice(at, PIECE_BYTES));
      if (this.exit) sink.exit(this.exit);
    };
    return { start, kept: end - start, marks: [...this.marks], begin };
  }

  /** From now on the output is only kept. */
  detach(): void {
    this.sink = null;
    this.unacked = 0;
    this.pty.resume();
  }

  acked(bytes: number): void {
    this.unacked = Math.max(0, this.unacked - bytes - FRAME_COST);
    if (this.unacked < this.window) this.pty.resume();
  }

  resize(cols: number, rows: number): void {
    if (!this.alive || (cols === this.size.cols && rows === this.size.rows)) return;
    this.size = { cols, rows };
    this.pty.resize(cols, rows);
  }

  /** Resolves when the PTY took the last byte. With a mark, what was taken before is dropped, and the mark moves with the bytes. */
  write(bytes: Buffer, mark: InputMark | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.writes.push({ bytes, mark, resolve, reject });
      if (!this.writing) void this.drain();
    });
  }

  /** The pid of the shell itself, as this machine counts: the joined one is a child of what joined it. */
  shellPid(): number {
    try {
      const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
      return Number(children[0] ?? this.pid);
    } catch {
      return this.pid;
    }
  }

  private async drain(): Promise<void> {
    this.writing = true;
    for (let next = this.writes.shift(); next; next = this.writes.shift()) {
      try {
        await this.put(next);
        next.resolve();
      } catch (error) {
        next.reject(error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.writing = false;
  }

  private async put({ bytes, mark }: PendingWrite): Promise<void> {
    const begins = mark ? mark.seq - bytes.length : 0;
    const taken = mark ? (this.marks.get(mark.clientId) ?? 0) : 0;
    let at = mark ? Math.min(bytes.length, Math.max(0, taken - begins)) : 0;
    while (at < bytes.length) {
      if (!this.alive) throw new Error('The shell has ended');
      const written = await this.writeSome(bytes.subarray(at));
      at += written;
      if (mark && written > 0) this.marks.set(mark.clientId, begins + at);
    }
    if (mark) this.touch(mark.clientId);
  }

  /** Of too many clients the one whose input is longest ago is forgotten, as the server does too. */
  private touch(clientId: string): void {
    const taken = this.marks.get(clientId) ?? 0;
    this.marks.delete(clientId);
    this.marks.set(clientId, taken);
    const [oldest] = this.marks.keys();
    if (this.marks.size > MOST_CLIENT_IDS && oldest !== undefined) this.marks.delete(oldest);
  }

  /** What the PTY takes now; nothing, after a moment, while its buffer is full. */
  private writeSome(bytes: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      writeFd(this.pty.fd, bytes, 0, bytes.length, null, (error, written) => {
        if (!error) resolve(written);
        else if (error.code === 'EAGAIN') setTimeout(() => resolve(0), AGAIN_MS);
        else reject(new Error('The shell has ended'));
      });
    });
  }

  private output(chunk: Buffer): void {
    this.kept.append(chunk);
    this.send(chunk);
  }

  private send(chunk: Buffer): void {
    if (!this.sink) return;
    this.unacked += chunk.length + FRAME_COST;
    this.sink.output(chunk);
    if (this.unacked >= this.window) this.pty.pause();
  }

  private end(exit: TerminalExit): void {
    if (this.exit) return;
    this.exit = exit;
    this.endedAt = Date.now();
    for (const { reject } of this.writes.splice(0)) reject(new Error('The shell has ended'));
    this.sink?.exit(exit);
  }
}
