import { type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { type Readable } from 'node:stream';
import { childrenOf, innerPid, isThere } from './processes';
import { type OpenedPty, Pty, type SparePty } from './pty';
import { FIRST_TERMINAL_FD, STATUS_FD } from './sandbox';
import { SEARCH_PATH } from './search-path';
import { spawnSealed } from './spawn-sealed';

/** Terminals that the first program has, and each that follows. */
const FIRST = 8;
const NEXT = 16;
/** What one says is short; who says more than this for each of its shells is a debugger that its user has attached. */
const SAID_BYTES = 512;
const LOOK_MS = 1_000;
const BEGUN_MS = 5_000;

interface Shell {
  readonly spare: SparePty;
  /** Of the process that waits for its end, as this machine counts; 0: not known (yet). */
  pid: number;
  begun: boolean;
  /** A signal has ended it. */
  killed: boolean;
}

/**
 * Programs in one sandbox that start its shells (`KEEPER` in sandbox.ts). To join a sandbox takes six programs and, with control groups, a wait
 * of the kernel's; these have done it, and hold the terminals' ends for the shells to come.
 */
export class ShellKeepers {
  private readonly keepers = new Set<Keeper>();
  /** Of the last one. */
  private size = 0;
  private over = false;

  /** @param command starts the program of so many terminals in the sandbox */
  constructor(private readonly command: (terminals: number) => readonly string[]) {}

  /** Sees to it that the next shells are started fast. */
  prepare(): void {
    const spares = [...this.keepers].reduce((sum, keeper) => sum + keeper.spares, 0);
    if (this.over || (spares > 0 && spares >= this.size / 2)) return;
    this.size = this.size === 0 ? FIRST : NEXT;
    const keeper = new Keeper(this.command(this.size), this.size, (began) => {
      this.keepers.delete(keeper);
      // What does not begin once will not another time.
      if (!began) this.over = true;
    });
    this.keepers.add(keeper);
  }

  /** @returns null: none is ready */
  open(cols: number, rows: number): OpenedPty | null {
    for (const keeper of this.keepers) {
      const opened = keeper.open(cols, rows);
      if (!opened) continue;
      this.prepare();
      return opened;
    }
    this.prepare();
    return null;
  }

  /** The sandbox ends, and everything in it. */
  end(): void {
    this.over = true;
    for (const keeper of this.keepers) keeper.end();
  }
}

/** One of them. */
class Keeper {
  private readonly process: ChildProcess;
  private readonly unused: { readonly spare: SparePty; readonly fd: number }[];
  private readonly shells = new Map<number, Shell>();
  /** It takes orders; it has at some time. */
  private ready = false;
  private began = false;
  private text = '';
  private patience: number;
  private readonly look: NodeJS.Timeout;

  constructor(
    [file = '', ...args]: readonly string[],
    terminals: number,
    private readonly onOver: (began: boolean) => void,
  ) {
    this.patience = terminals * SAID_BYTES;
    this.unused = Array.from({ length: terminals }, (_, index) => ({ spare: Pty.spare(), fd: FIRST_TERMINAL_FD + index }));
    this.process = spawnSealed(file, args, {
      stdio: ['pipe', 'ignore', 'ignore', 'pipe', ...this.unused.map(({ spare }) => spare.slave)],
      env: { PATH: SEARCH_PATH, LANG: 'C.UTF-8' },
      cwd: '/',
    });
    for (const { spare } of this.unused) spare.started();
    this.process.on('error', () => this.end());
    this.process.on('exit', () => this.retire());
    this.process.stdin?.on('error', () => undefined); // it has ended: what it says tells
    const said = this.process.stdio[STATUS_FD] as Readable | null;
    said?.setEncoding('utf8').on('data', (chunk: string) => this.hear(chunk));
    said?.on('close', () => this.end());
    this.look = setInterval(() => this.lookAfter(), LOOK_MS).unref();
  }

  get spares(): number {
    return this.unused.length;
  }

  open(cols: number, rows: number): OpenedPty | null {
    if (!this.ready) return null;
    const next = this.unused.shift();
    if (!next) return null;
    const { spare, fd } = next;
    const shell: Shell = { spare, pid: 0, begun: false, killed: false };
    this.shells.set(fd, shell);
    spare.pty.resize(cols, rows);
    this.process.stdin?.write(`${fd}\n`);
    setTimeout(() => this.lookFor(fd, shell), BEGUN_MS).unref();
    // It has no more to do than to wait.
    if (this.unused.length === 0) this.process.stdin?.end();
    return { pty: spare.pty, pid: () => shell.pid };
  }

  /** Nobody is left to tell how a shell ended. */
  end(): void {
    clearInterval(this.look);
    this.onOver(this.began);
    this.process.stdin?.destroy();
    this.process.stdio[STATUS_FD]?.destroy();
    for (const { spare } of this.unused.splice(0)) spare.ended({ code: null, signal: 'SIGHUP' });
    for (const { spare } of this.shells.values()) spare.ended({ code: null, signal: 'SIGHUP' });
    this.shells.clear();
  }

  private hear(chunk: string): void {
    this.patience -= chunk.length;
    if (this.patience < 0) {
      this.end();
      return;
    }
    const lines = (this.text + chunk).split('\n');
    this.text = lines.pop() ?? '';
    for (const line of lines) this.told(line);
  }

  private told(line: string): void {
    if (line === 'ready') this.began = this.ready = true;
    const [, word, fd, value] = /^(begun|ended) (\d+) (\d+)$/.exec(line) ?? [];
    // Bash's report of a signal ends with the command, of which this is a part; its words are in the user's language.
    const [, reported] = word === undefined ? (/<&(\d+)/.exec(line) ?? []) : [];
    const number = Number(fd ?? reported);
    const shell = this.shells.get(number);
    if (!shell) return;
    if (word === 'begun') {
      shell.begun = true;
      shell.pid = this.outerPid(Number(value));
    } else if (word === 'ended') this.over(number, shell, Number(value));
    else shell.killed = true;
  }

  private over(fd: number, { spare, killed }: Shell, status: number): void {
    this.shells.delete(fd);
    spare.ended(killed ? { code: null, signal: signalOf(status) } : { code: status, signal: null });
    if (this.shells.size === 0 && this.unused.length === 0) this.end();
  }

  /** It starts no more; what it started goes on. */
  private retire(): void {
    this.ready = false;
    for (const { spare } of this.unused.splice(0)) spare.ended({ code: null, signal: 'SIGHUP' });
    this.onOver(this.began);
    if (this.shells.size === 0) this.end();
  }

  /** An environment with as many processes as may be, or one whose user has stopped this one, starts none. */
  private lookFor(fd: number, { begun, spare }: Shell): void {
    if (begun || !this.shells.delete(fd)) return;
    spare.ended({ code: 1, signal: null });
    this.retire();
  }

  /** Of a process that it started, as this machine counts (proc(5), NSpid). */
  private outerPid(inner: number): number {
    const [keeper = 0] = childrenOf(this.process.pid ?? 0);
    // It is the last that began.
    return childrenOf(keeper).findLast((pid) => innerPid(pid) === inner) ?? 0;
  }

  /** Whoever waits for a shell's end may be ended itself. */
  private lookAfter(): void {
    for (const [fd, { pid, spare }] of this.shells) {
      if (pid === 0 || isThere(pid)) continue;
      this.shells.delete(fd);
      spare.ended({ code: null, signal: 'SIGKILL' });
    }
  }
}

function signalOf(status: number): string {
  const [name] = Object.entries(constants.signals).find(([, number]) => number === status - 128) ?? [];
  return name ?? 'SIGKILL';
}
