import { type ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ReadStream } from 'node:tty';
import { childrenOf, type ProcessEnd } from './processes';
import { SEARCH_PATH } from './search-path';
import { spawnSealed, unsealed } from './spawn-sealed';

interface Opened {
  readonly master: number;
  readonly slave: number;
  /** Path of the program's side. */
  readonly pty: string;
}

interface NativePty {
  open(cols: number, rows: number): Opened;
  fork(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string,
    cols: number,
    rows: number,
    uid: number,
    gid: number,
    utf8: boolean,
    helperPath: string,
    onExit: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number; readonly pty: string };
  resize(fd: number, cols: number, rows: number): void;
}

const PACKAGE = `@lydell/node-pty-${process.platform}-${process.arch}`;
const load = createRequire(require.resolve('@lydell/node-pty'));

/**
 * node-pty's binary, without its module: that destroys a PTY 200 ms after its program's end whether it has been read or not, spins
 * while the program does not read, and cannot open a PTY for a program of our own.
 */
function native(): NativePty {
  return load(`${PACKAGE}/pty.node`) as NativePty;
}

/** What Linux gives at least of a PTY that has more; what is less was all of it. */
export const FULL_READ_BYTES = 4_095;
/** So much of a PTY that has more is read at once, before others have their turn. */
const BUFFER_BYTES = 65_536;
/** So long after a key others have their turn after every read: one of theirs may be its echo. */
const TYPING_MS = 500;
/** So many full reads of a PTY beside which somebody types, then a breath: 16 KiB, some 12 MiB a second. */
const READS_A_BREATH = 4;
const BREATH_MS = 1;
/** What was asked for in vain is, so many full reads later at most, asked for again. */
const MOST_SPARED = 63;
/** What a program left when it ended is less (Linux: 8 KiB on its way and 4 KiB that can be read); the rest is somebody else's. */
const MOST_LEFT_BYTES = 262_144;

/** Of one PTY at a time: what it holds is used before the next is read. */
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
/** The PTY to which something was written last, and another one before it. */
let typed: { readonly pty: Pty | null; readonly at: number } = { pty: null, at: -Infinity };
let typedBefore = typed;

/** A PTY with a program at its other end, or one that is about to be there. */
export interface OpenedPty {
  readonly pty: Pty;
  /** Of the shell, as this machine counts; 0: not known yet, or no more. */
  readonly pid: () => number;
  /** Of what waits for its end and for no other; 0: there is none. */
  readonly waiter: () => number;
}

/** A PTY for a program that somebody else starts. */
export interface SparePty {
  readonly pty: Pty;
  /** The program's side, for whoever starts it. */
  readonly slave: number;
  /** They have it: it is closed here. */
  started(): void;
  /** The program's end. */
  ended(end: ProcessEnd): void;
}

/** Signals by number come from the binary; those of Linux and macOS that end programs by their own doing. */
const SIGNALS: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
};

/** A PTY: its bytes, its size and the process at its other end. */
export class Pty {
  private readonly stream: ReadStream;
  /**
   * The program's side, held open too. Without it Linux tells the last program's end together with its last output, and libuv takes
   * that for the end of a stream of which it has read only a part (libuv #4992).
   */
  private readonly slave: number;
  private room = 0;
  private reading = false;
  private breathing = false;
  private sinceBreath = 0;
  private over = false;
  private spare = 0;
  private spared = 0;
  private onChunk: (chunk: Buffer) => void = () => undefined;
  private onEnd: (end: ProcessEnd) => void = () => undefined;

  private constructor(
    private readonly fd: number,
    slavePath: string,
  ) {
    unsealed.add(fd);
    this.slave = openSync(slavePath, constants.O_RDWR | constants.O_NOCTTY);
    const options = {
      onread: {
        buffer,
        callback: (length: number): boolean => {
          this.take(length >= FULL_READ_BYTES ? this.readOn(length) : length);
          return this.reading && !this.breathing;
        },
      },
    };
    // Its types do not know that it passes the options of a socket on.
    this.stream = new (ReadStream as unknown as new (fd: number, options: object) => ReadStream)(fd, options);
    this.stream.pause();
    this.stream.on('error', () => undefined); // the program's end tells
    this.stream.on('close', () => unsealed.delete(fd));
  }

  /** For a program that `start` starts. */
  static joined(command: readonly string[], cols: number, rows: number): OpenedPty {
    const spare = Pty.spare(cols, rows);
    spare.started();
    return { pty: spare.pty, ...spare.pty.start(command) };
  }

  static spare(cols = 80, rows = 24): SparePty {
    const { master, slave, pty: path } = native().open(cols, rows);
    unsealed.add(slave);
    const started = (): void => {
      closeSync(slave);
      unsealed.delete(slave);
    };
    let pty: Pty;
    try {
      pty = new Pty(master, path);
    } catch (error) {
      started();
      closeSync(master);
      unsealed.delete(master);
      throw error;
    }
    return { pty, slave, started, ended: (end) => pty.end(end) };
  }

  /** For a plain process of this machine. */
  static plain(
    command: readonly string[],
    cols: number,
    rows: number,
    cwd: string,
    env: Readonly<Record<string, string>>,
  ): OpenedPty {
    const [file = '', ...args] = command;
    const variables = Object.entries({ ...env, PWD: cwd, TERM: 'xterm-256color' }).map(([name, value]) => `${name}=${value}`);
    const helper = process.platform === 'darwin' ? load.resolve(`${PACKAGE}/spawn-helper`) : '';
    let ended: (end: ProcessEnd) => void = () => undefined;
    const onExit = (code: number, signal: number): void =>
      ended(signal === 0 ? { code, signal: null } : { code: null, signal: SIGNALS[signal] ?? `SIG${signal}` });
    const { fd, pid, pty: path } = native().fork(file, args, variables, cwd, cols, rows, -1, -1, true, helper, onExit);
    const pty = new Pty(fd, path);
    ended = (end) => pty.end(end);
    return { pty, pid: () => pid, waiter: () => 0 };
  }

  /**
   * Starts a program that becomes the leader of its session by itself (`setsid -c`): what joins another pid namespace has to, because
   * there the leader that forkpty makes does not exist and job control would fail. One that cannot be started has ended with 127.
   */
  start([file = '', ...args]: readonly string[]): Omit<OpenedPty, 'pty'> {
    const { slave } = this;
    const env = { PATH: SEARCH_PATH, LANG: 'C.UTF-8' };
    const failed = (): void => this.end({ code: 127, signal: null });
    let child: ChildProcess | null = null;
    try {
      child = spawnSealed(file, args, { stdio: [slave, slave, slave], env, cwd: '/' });
      child.once('exit', (code, signal) => this.end({ code, signal }));
      child.once('error', failed);
    } catch {
      setImmediate(failed); // nobody listens yet
    }
    const waiter = (): number => child?.pid ?? 0;
    return { pid: () => childrenOf(waiter())[0] ?? waiter(), waiter };
  }

  /**
   * Begins to read. @param onChunk its bytes are its own only while it is called @param onEnd called once, after the last chunk
   */
  begin(onChunk: (chunk: Buffer) => void, onEnd: (end: ProcessEnd) => void): void {
    this.onChunk = onChunk;
    this.onEnd = onEnd;
  }

  /** @param room so many bytes more are read, and up to one read of the kernel's beyond; then the program waits when the PTY is full */
  read(room: number): void {
    this.room = room;
    const on = room > 0;
    if (on === this.reading || this.over) return;
    this.reading = on;
    if (this.breathing) return;
    if (on) this.stream.resume();
    else this.stream.pause();
  }

  /** @returns how much of it the PTY took now, 0 while it is full; null when there is none any more */
  write(bytes: Buffer): number | null {
    if (this.isClosed) return null;
    const taken = attempt(() => writeSync(this.fd, bytes));
    // What nobody reads is no typing, however often it is tried.
    if (taken) {
      if (typed.pty !== this) typedBefore = typed;
      typed = { pty: this, at: performance.now() };
    }
    return taken;
  }

  resize(cols: number, rows: number): void {
    if (!this.isClosed) native().resize(this.fd, cols, rows);
  }

  /** Its number may be another file's by now. */
  private get isClosed(): boolean {
    return this.over || this.stream.destroyed;
  }

  /**
   * libuv asks before every read whether there is something; behind a full one there mostly is, unless the program is slower.
   * @param held bytes that the buffer holds already @returns bytes that it holds then
   */
  private readOn(held: number): number {
    const elsewhere = typed.pty === this ? typedBefore : typed;
    if (performance.now() - elsewhere.at < TYPING_MS) {
      if ((this.sinceBreath += 1) >= READS_A_BREATH) this.breathe();
      return held;
    }
    if (this.spared < this.spare) {
      this.spared += 1;
      return held;
    }
    this.spared = 0;
    const most = Math.min(this.room, BUFFER_BYTES);
    let whole = held;
    while (most - whole >= FULL_READ_BYTES) {
      const length = this.readSome(whole, most);
      if (length === 0 && whole === held) this.spare = Math.min(MOST_SPARED, 2 * this.spare + 1);
      whole += length;
      if (length < FULL_READ_BYTES) return whole;
      this.spare = 0;
    }
    return whole;
  }

  private take(bytes: number): void {
    if (bytes >= this.room) this.read(0);
    else this.room -= bytes;
    this.onChunk(buffer.subarray(0, bytes));
  }

  /** Two processors have much to do with a flood: the program, the kernel, this, the server and whoever reads it. */
  private breathe(): void {
    this.sinceBreath = 0;
    this.breathing = true;
    this.stream.pause();
    setTimeout(() => {
      this.breathing = false;
      if (this.reading && !this.over) this.stream.resume();
    }, BREATH_MS);
  }

  /** The program has ended. What it printed is in the kernel to the last byte, and read before anybody hears of the end. */
  private end(end: ProcessEnd): void {
    if (this.over) return;
    this.read(0);
    this.breathing = false;
    for (let left = MOST_LEFT_BYTES; left > 0 && !this.isClosed;) {
      const length = this.readSome();
      if (length === 0) break;
      left -= length;
      this.onChunk(buffer.subarray(0, length));
    }
    this.over = true;
    // What it left in the background loses its terminal, as when one is closed.
    this.stream.destroy();
    closeSync(this.slave);
    this.onEnd(end);
  }

  /** Into the buffer, from one place to another. @returns bytes, 0 when there are none */
  private readSome(at = 0, end = BUFFER_BYTES): number {
    return attempt(() => readSync(this.fd, buffer, at, end - at, null)) ?? 0;
  }
}

/** @returns bytes, 0 for what would have to wait, null for what fails */
function attempt(call: () => number): number | null {
  // An error's stack costs more than the call.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : null;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
