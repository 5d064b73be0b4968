import { type ChildProcess } from 'node:child_process';
import { type Readable } from 'node:stream';
import { childrenOf, endOf, endOfStatus, innerPid, namespacePids, type ProcessEnd, signal } from './processes';
import { type OpenedPty, Pty, type SparePty } from './pty';
import { FIRST_TERMINAL_FD, joinArguments, type Joining, keeperArguments, STATUS_FD } from './sandbox';
import { SEARCH_PATH } from './search-path';
import { spawnSealed } from './spawn-sealed';

/** Terminals that the first program has, and each that follows. */
const FIRST = 8;
const NEXT = 16;
/** What one says is short; who says more than this for each of its shells is a debugger that its user has attached. */
const SAID_BYTES = 4_096;
/** Where there was no room for one, another is not tried sooner. */
const REST_MS = 10_000;
const LOOK_MS = 5_000;
/** A shell that has not begun by then is joined to its sandbox instead. */
const BEGUN_MS = 1_000;
const SAYS_MS = 100;

interface Shell {
  readonly spare: SparePty;
  /** As its namespace counts; 0: it has not begun. */
  inner: number;
  /** As this machine does; 0: nobody has asked yet. */
  outer: number;
  /** What was joined in its place. */
  joined: Omit<OpenedPty, 'pty'> | null;
}

/**
 * Programs in one sandbox that start its shells (`KEEPER` in sandbox.ts). To join a sandbox takes six programs and, with control groups, a wait
 * of the kernel's; these have done it, and hold the terminals' ends for the shells to come.
 */
export class ShellKeepers {
  private readonly keepers = new Set<Keeper>();
  /** Of the last one. */
  private size = 0;
  /** Of the shells that they started and that run. */
  private running = 0;
  private over = false;
  private restUntil = 0;

  /** @param joining how a program joins the sandbox; null: that is about to end */
  constructor(private readonly joining: () => Joining | null) {}

  /** Sees to it that the next shells are started fast. */
  prepare(): void {
    const spares = [...this.keepers].reduce((sum, keeper) => sum + keeper.spares, 0);
    if (this.over || performance.now() < this.restUntil || (spares > 0 && spares >= this.size / 2)) return;
    const size = this.size === 0 ? FIRST : NEXT;
    try {
      this.add(size);
      this.size = size;
    } catch {
      // This machine has no more PTYs, files or processes; one shell may still find its own.
      this.restUntil = performance.now() + REST_MS;
    }
  }

  private add(size: number): void {
    const joining = this.joining();
    const command = joining && keeperArguments(joining, size);
    if (!command) return;
    const keeper = new Keeper(
      this.joining,
      command,
      size,
      (why) => {
        this.keepers.delete(keeper);
        // What does not begin once will not another time; what is slow may be faster later.
        if (why === 'failed') this.over = true;
        if (why === 'slow') this.restUntil = performance.now() + REST_MS;
      },
      () => this.shellEnded(),
    );
    this.keepers.add(keeper);
  }

  /** What was there for a crowd goes with it. */
  private shellEnded(): void {
    this.running -= 1;
    if (this.running > 0 || this.over || this.size === FIRST) return;
    for (const keeper of this.keepers) keeper.stop();
    this.size = 0;
    this.prepare();
  }

  /** @returns null: there is none, nor does one come */
  open(cols: number, rows: number): OpenedPty | null {
    for (const keeper of this.keepers) {
      const opened = keeper.open(cols, rows);
      if (!opened) continue;
      this.running += 1;
      this.prepare();
      return opened;
    }
    this.prepare();
    return null;
  }

  /** The sandbox ends, and everything in it. */
  end(): void {
    this.over = true;
    for (const keeper of this.keepers) keeper.stop();
  }
}

/** One of them. */
class Keeper {
  private readonly process: ChildProcess;
  private readonly unused: { readonly spare: SparePty; readonly fd: number }[];
  private readonly shells = new Map<number, Shell>();
  /** Terminals of those that were joined instead. */
  private readonly handedOver = new Set<number>();
  /** What its end would mean: it failed until it has come to read orders (those of before it finds then), or is to end. */
  private why: 'failed' | 'slow' | 'done' = 'failed';
  private text = '';
  private over = false;
  private patience: number;
  private look: NodeJS.Timeout;

  constructor(
    private readonly joining: () => Joining | null,
    [file = '', ...args]: readonly string[],
    terminals: number,
    private readonly onOver: (why: 'failed' | 'slow' | 'done') => void,
    private readonly onShellEnded: () => void,
  ) {
    this.patience = terminals * SAID_BYTES;
    this.unused = [];
    try {
      for (let index = 0; index < terminals; index += 1) this.unused.push({ spare: Pty.spare(), fd: FIRST_TERMINAL_FD + index });
      this.process = spawnSealed(file, args, {
        stdio: ['pipe', 'ignore', 'ignore', 'pipe', ...this.unused.map(({ spare }) => spare.slave)],
        env: { PATH: SEARCH_PATH, LANG: 'C.UTF-8' },
        cwd: '/',
        // A process group of its own: it is its user's, who may make it signal all of its group.
        detached: true,
      });
    } catch (error) {
      for (const { spare } of this.unused) spare.ended({ code: null, signal: 'SIGHUP' });
      throw error;
    } finally {
      for (const { spare } of this.unused) spare.started();
    }
    this.process.on('error', () => this.end());
    this.process.on('exit', () => this.retire());
    this.process.stdin?.on('error', () => undefined); // it has ended: what it says tells
    const said = this.said();
    said?.setEncoding('utf8').on('data', (chunk: string) => this.hear(chunk));
    said?.on('close', () => this.silent());
    this.look = setInterval(() => this.lookAfter(), LOOK_MS).unref();
  }

  get spares(): number {
    return this.unused.length;
  }

  open(cols: number, rows: number): OpenedPty | null {
    const next = this.unused.shift();
    if (!next) return null;
    const { spare, fd } = next;
    const shell: Shell = { spare, inner: 0, outer: 0, joined: null };
    this.shells.set(fd, shell);
    spare.pty.resize(cols, rows);
    this.process.stdin?.write(`${fd}\n`);
    this.lookLater(shell, BEGUN_MS);
    return {
      pty: spare.pty,
      pid: () => shell.joined?.pid() ?? this.pidOf(shell),
      waiter: () => shell.joined?.waiter() ?? 0,
    };
  }

  stop(): void {
    this.why = 'done';
    this.end();
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    clearInterval(this.look);
    this.onOver(this.why);
    this.process.stdin?.destroy();
    this.said()?.destroy();
    for (const { spare } of this.unused.splice(0)) spare.ended({ code: null, signal: 'SIGHUP' });
    for (const [fd, shell] of this.shells) this.finish(fd, shell, { code: null, signal: 'SIGHUP' });
  }

  /** Nobody is left to tell how a shell ended. */
  private silent(): void {
    if (this.over) return;
    this.retire();
    this.handedOver.clear();
    this.joinRest();
    if (this.endIfIdle()) return;
    clearInterval(this.look);
    this.look = setInterval(() => this.lookAfter(), SAYS_MS).unref();
    this.lookAfter();
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
    if (line === 'ready') this.why = 'done';
    const [, word, fd, value] = /^(begun|refused|ended) (\d+)(?: (\d+))?$/.exec(line) ?? [];
    const number = Number(fd);
    const shell = this.shells.get(number);
    // One for which another was joined finds its terminal taken, or is ended.
    if (!shell) {
      if (word === 'begun' && this.handedOver.delete(number)) signal(this.outerPid(Number(value)), 'SIGKILL');
    } else if (word === 'begun') {
      shell.inner = Number(value);
      // When all have begun it is told of no more.
      if (this.unused.length === 0 && [...this.shells.values()].every(({ inner }) => inner > 0)) this.process.stdin?.end();
    } else if (word === 'refused') this.join(number, shell);
    else if (word === 'ended') this.finish(number, shell, endOfStatus(Number(value)));
  }

  /** It starts no more; what it started goes on. */
  private retire(): void {
    for (const { spare } of this.unused.splice(0)) spare.ended({ code: null, signal: 'SIGHUP' });
    this.onOver(this.why);
    // What it has begun a moment ago says so yet.
    for (const shell of this.shells.values()) this.lookLater(shell, SAYS_MS);
  }

  /** What has been said while this process was busy is heard before. */
  private lookLater(shell: Shell, ms: number): void {
    setTimeout(() => setImmediate(() => this.lookFor(shell)), ms).unref();
  }

  /** One whose user has stopped it, or that has just been killed, starts none. */
  private lookFor(late: Shell): void {
    if (late.inner > 0 || ![...this.shells.values()].includes(late)) return;
    if (this.why === 'failed') this.why = 'slow';
    // What it has begun it is to tell the end of, once it goes on.
    if ([...this.shells.values()].every(({ inner }) => inner === 0)) signal(this.pid, 'SIGKILL');
    this.joinRest();
    this.retire();
  }

  /** Those that it has not begun. */
  private joinRest(): void {
    for (const [fd, shell] of this.shells) if (shell.inner === 0) this.join(fd, shell);
  }

  private join(fd: number, shell: Shell): void {
    const joining = this.joining();
    if (!joining) {
      this.finish(fd, shell, { code: null, signal: 'SIGHUP' });
      return;
    }
    this.shells.delete(fd);
    this.handedOver.add(fd);
    shell.joined = shell.spare.pty.start(joinArguments(joining));
    this.onShellEnded();
  }

  /** Its own, as this machine counts. */
  private get pid(): number {
    return childrenOf(this.process.pid ?? 0)[0] ?? 0;
  }

  /** 0: it has not begun, or is no more. */
  private pidOf(shell: Shell): number {
    if (shell.inner === 0) return 0;
    if (shell.outer === 0) shell.outer = this.outerPid(shell.inner);
    return isHere(shell) ? shell.outer : 0;
  }

  /** Of a process that it started, as this machine counts (proc(5), NSpid). */
  private outerPid(inner: number): number {
    const isIt = (pid: number): boolean => innerPid(pid) === inner;
    // It is mostly the last that began; whose parent has been killed is elsewhere.
    return childrenOf(this.pid).findLast(isIt) ?? namespacePids(this.joining()?.target ?? 0).find(isIt) ?? 0;
  }

  /** Whoever waits for them may be stopped, or ended itself; but what it has said before may be read only now. */
  private lookAfter(): void {
    for (const [fd, shell] of this.shells) {
      if (shell.inner === 0 || !this.endedAs(shell)) continue;
      setTimeout(
        () =>
          setImmediate(() => {
            const end = this.shells.get(fd) === shell && this.endedAs(shell);
            if (end) this.finish(fd, shell, end);
          }),
        SAYS_MS,
      ).unref();
    }
  }

  /** Null: it runs. How one ended that has no parent any more nobody knows. */
  private endedAs(shell: Shell): ProcessEnd | null {
    const pid = this.pidOf(shell);
    return pid === 0 ? { code: null, signal: 'SIGKILL' } : endOf(pid);
  }

  private finish(fd: number, { spare }: Shell, end: ProcessEnd): void {
    this.shells.delete(fd);
    spare.ended(end);
    this.onShellEnded();
    this.endIfIdle();
  }

  private endIfIdle(): boolean {
    if (this.shells.size === 0 && this.unused.length === 0 && this.handedOver.size === 0) this.end();
    return this.over;
  }

  /** Null: there was no room for it. */
  private said(): Readable | null {
    const pipes = this.process.stdio as typeof this.process.stdio | undefined;
    return (pipes?.[STATUS_FD] as Readable | undefined) ?? null;
  }
}

/** Its number may be another's by now, whose number in its own namespace is another. */
function isHere({ outer, inner }: Shell): boolean {
  return outer > 0 && innerPid(outer) === inner;
}
