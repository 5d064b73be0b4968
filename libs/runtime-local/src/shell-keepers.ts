import { type ChildProcess } from 'node:child_process';
import { type Readable } from 'node:stream';
import { type DescriptorPassing, descriptorPassing, TOKEN_BYTES } from './descriptor-passing';
import { childrenOf, endOf, endOfStatus, innerPid, isStopped, namespacePids, type ProcessEnd, signal } from './processes';
import { type OpenedPty, Pty, type SparePty } from './pty';
import { joinArguments, type Joining, keeperArguments, STATUS_FD } from './sandbox';
import { SEARCH_PATH } from './search-path';
import { spawnSealed } from './spawn-sealed';

/** What one says is short; who says more than this for each of its shells is a debugger that its user has attached. */
const SAID_BYTES = 4_096;
/** Where there was no room for one, another is not tried sooner. */
const REST_MS = 10_000;
const LOOK_MS = 5_000;
/** A shell that has not begun by then is joined to its sandbox instead, if what is to start it stands still; at last in any case. */
const BEGUN_MS = 1_000;
const LATEST_MS = 10_000;
const SAYS_MS = 100;

interface Shell {
  readonly spare: SparePty;
  readonly orderedAt: number;
  /** As its namespace counts; 0: it has not begun. */
  inner: number;
  /** As this machine does; 0: nobody has asked yet; -1: it had ended by then. */
  outer: number;
  /** What was joined in its place. */
  joined: Omit<OpenedPty, 'pty'> | null;
}

/**
 * A program in a sandbox that starts its shells (`KEEPER` in sandbox.ts). To join a sandbox takes six programs and, with control groups, a
 * wait of the kernel's; this one has done it, and is given the terminals' ends.
 */
export class ShellKeepers {
  /** The one that takes orders. */
  private current: Keeper | null = null;
  private readonly all = new Set<Keeper>();
  private over = false;
  private restUntil = 0;

  /** @param joining how a program joins the sandbox; null: that is about to end */
  constructor(private readonly joining: () => Joining | null) {}

  /** Sees to it that the next shell is started fast. */
  prepare(): void {
    if (this.over || this.current || performance.now() < this.restUntil) return;
    const joining = this.joining();
    const command = joining && keeperArguments(joining);
    const passing = descriptorPassing();
    if (!command || !passing) return;
    try {
      const keeper = new Keeper(
        this.joining,
        command,
        passing,
        (why) => {
          if (this.current === keeper) this.current = null;
          // What does not begin once will not another time; what is slow may be faster later.
          if (why === 'failed') this.over = true;
          if (why === 'slow') this.restUntil = performance.now() + REST_MS;
        },
        () => this.all.delete(keeper),
      );
      this.all.add(keeper);
      this.current = keeper;
    } catch {
      // This machine has no more files or processes; one shell may still find its own.
      this.restUntil = performance.now() + REST_MS;
    }
  }

  /** @returns null: there is none, nor does one come */
  open(cols: number, rows: number): OpenedPty | null {
    this.prepare();
    return this.current?.open(cols, rows) ?? null;
  }

  /** The sandbox ends, and everything in it. */
  end(): void {
    this.over = true;
    for (const keeper of this.all) keeper.stop();
  }
}

/** One of them; another follows the one that its user has stopped or killed. */
class Keeper {
  private readonly process: ChildProcess;
  private readonly shells = new Map<number, Shell>();
  /** Those for which another was joined instead. */
  private readonly handedOver = new Set<number>();
  private last = 0;
  /** What its end would mean: it failed until it has come to read orders (those of before it finds then), or is to end. */
  private why: 'failed' | 'slow' | 'done' = 'failed';
  /** It is given no more. */
  private retired = false;
  private isSilent = false;
  private over = false;
  private text = '';
  private patience = SAID_BYTES;
  private look: NodeJS.Timeout;

  constructor(
    private readonly joining: () => Joining | null,
    [file = '', ...args]: readonly string[],
    private readonly passing: DescriptorPassing,
    private readonly onRetired: (why: 'failed' | 'slow' | 'done') => void,
    private readonly onOver: () => void,
  ) {
    this.process = spawnSealed(file, args, {
      stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
      env: { PATH: SEARCH_PATH, LANG: 'C.UTF-8' },
      cwd: '/',
      // A process group of its own: it is its user's, who may make it signal all of its group.
      detached: true,
    });
    this.process.on('error', () => this.end());
    this.process.on('exit', () => this.retire());
    this.process.stdin?.on('error', () => undefined); // it has ended: what it says tells
    const said = this.said();
    said?.setEncoding('utf8').on('data', (chunk: string) => this.hear(chunk));
    said?.on('close', () => this.silent());
    this.look = setInterval(() => this.lookAfter(), LOOK_MS).unref();
  }

  /** @returns null: it cannot be told any more */
  open(cols: number, rows: number): OpenedPty | null {
    const spare = Pty.spare(cols, rows);
    this.last += 1;
    try {
      this.passing.sendOn(this.input, spare.slave, Buffer.from(String(this.last).padEnd(TOKEN_BYTES)));
    } catch {
      spare.ended({ code: null, signal: 'SIGHUP' });
      return null;
    } finally {
      spare.started();
    }
    const shell: Shell = { spare, orderedAt: performance.now(), inner: 0, outer: 0, joined: null };
    this.shells.set(this.last, shell);
    this.patience += SAID_BYTES;
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
    this.retire();
    this.process.stdin?.destroy();
    this.said()?.destroy();
    for (const [number, shell] of this.shells) this.finish(number, shell, { code: null, signal: 'SIGHUP' });
    this.onOver();
  }

  /** Nobody is left to tell how a shell ended. */
  private silent(): void {
    if (this.over) return;
    this.isSilent = true;
    this.retire();
    this.joinRest();
    this.endIfIdle();
    if (this.over) return;
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
    const [, word, which, value] = /^(begun|refused|ended) (\d+)(?: (\d+))?$/.exec(line) ?? [];
    const number = Number(which);
    const shell = this.shells.get(number);
    // One for which another was joined finds its terminal taken, or is ended.
    if (!shell) {
      if (word === 'begun' && this.handedOver.delete(number)) signal(this.childOf(Number(value)), 'SIGKILL');
    } else if (word === 'begun') shell.inner = Number(value);
    else if (word === 'refused') this.join(number, shell);
    else if (word === 'ended') this.finish(number, shell, endOfStatus(Number(value)));
  }

  /** It starts no more; what it started goes on. */
  private retire(): void {
    if (this.retired) return;
    this.retired = true;
    this.onRetired(this.why);
    // What it has begun a moment ago says so yet.
    for (const shell of this.shells.values()) this.lookLater(shell, SAYS_MS);
  }

  /** What has been said while this process was busy is heard before. */
  private lookLater(shell: Shell, ms: number): void {
    setTimeout(() => setImmediate(() => this.lookFor(shell)), ms).unref();
  }

  /**
   * One whose user has stopped it, or that has just been killed, starts none. One that has much to do does, and two shells cannot have one
   * terminal: whoever joined it then would end.
   */
  private lookFor(late: Shell): void {
    if (late.inner > 0 || ![...this.shells.values()].includes(late)) return;
    const { exitCode, signalCode } = this.process;
    const starts = exitCode === null && signalCode === null && !isStopped(this.pid);
    if (starts && performance.now() - late.orderedAt < LATEST_MS) {
      this.lookLater(late, BEGUN_MS);
      return;
    }
    if (this.why === 'failed') this.why = 'slow';
    // What it has begun it is to tell the end of, once it goes on.
    if (starts || [...this.shells.values()].every(({ inner }) => inner === 0)) signal(this.pid, 'SIGKILL');
    this.joinRest();
    this.retire();
  }

  /** Those that it has not begun. */
  private joinRest(): void {
    for (const [number, shell] of this.shells) if (shell.inner === 0) this.join(number, shell);
  }

  private join(number: number, shell: Shell): void {
    const joining = this.joining();
    if (!joining) {
      this.finish(number, shell, { code: null, signal: 'SIGHUP' });
      return;
    }
    this.shells.delete(number);
    this.handedOver.add(number);
    shell.joined = shell.spare.pty.start(joinArguments(joining));
  }

  /** Its own, as this machine counts. */
  private get pid(): number {
    return childrenOf(this.process.pid ?? 0)[0] ?? 0;
  }

  /** 0: it has not begun, or is no more. */
  private pidOf(shell: Shell): number {
    if (shell.inner > 0 && shell.outer === 0) this.findOuter();
    return isHere(shell) ? shell.outer : 0;
  }

  private childOf(inner: number): number {
    return childrenOf(this.pid).findLast((pid) => innerPid(pid) === inner) ?? 0;
  }

  /** Of all at once: to ask one process for its numbers takes as long for one shell as for all. */
  private findOuter(): void {
    const shells = [...this.shells.values()].filter(({ inner }) => inner > 0);
    const wanted = new Map(shells.filter(({ outer }) => outer === 0).map((shell) => [shell.inner, shell]));
    const known = new Set(shells.map(({ outer }) => outer));
    const look = (pids: readonly number[]): void => {
      for (const pid of pids) {
        if (wanted.size === 0) return;
        if (known.has(pid)) continue;
        const inner = innerPid(pid);
        const shell = wanted.get(inner);
        if (shell) shell.outer = pid;
        wanted.delete(inner);
      }
    };
    look(childrenOf(this.pid));
    // Those whose parent has been killed are elsewhere.
    if (wanted.size > 0) look(namespacePids(this.joining()?.target ?? 0));
    // Once: it takes all processes of this machine, and whoever ends all of his would have it done for each.
    for (const shell of wanted.values()) shell.outer = -1;
  }

  /** Who waits for them tells of their ends, unless it is stopped or has ended itself; but what it has said before may be read only now. */
  private lookAfter(): void {
    if (!this.isSilent && !isStopped(this.pid)) return;
    for (const [number, shell] of this.shells) {
      if (shell.inner === 0 || !this.endedAs(shell)) continue;
      const again = (): void => {
        const end = this.shells.get(number) === shell && this.endedAs(shell);
        if (end) this.finish(number, shell, end);
      };
      setTimeout(() => setImmediate(again), SAYS_MS).unref();
    }
  }

  /** Null: it runs. How one ended that has no parent any more nobody knows. */
  private endedAs(shell: Shell): ProcessEnd | null {
    const pid = this.pidOf(shell);
    return pid === 0 ? { code: null, signal: 'SIGKILL' } : endOf(pid);
  }

  private finish(number: number, { spare }: Shell, end: ProcessEnd): void {
    this.shells.delete(number);
    spare.ended(end);
    this.endIfIdle();
  }

  private endIfIdle(): void {
    if (this.retired && this.shells.size === 0) this.end();
  }

  /** Node shows a pipe's descriptor nowhere else; -1: it is closed. */
  private get input(): number {
    const input = this.process.stdin as unknown as { readonly _handle: { readonly fd: number } | null } | undefined;
    return input?._handle?.fd ?? -1;
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
