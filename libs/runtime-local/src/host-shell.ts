import { type TerminalExit } from '@devpocket/runtime';
import { statOf } from './processes';
import { type OpenedPty } from './pty';

/** A program on a PTY, begun a moment ago. */
export interface OpenedShell extends OpenedPty {
  /** Why it ended, from how. */
  readonly explain: (code: number | null, signal: string | null) => TerminalExit['reason'];
}

/** What an environment knows of each of its shells, whoever takes its output. */
export interface HostShell extends Pick<OpenedPty, 'pid' | 'waiter'> {
  readonly sessionId: string;
  readonly alive: boolean;
  /** When it ended, in milliseconds since the epoch; null: it runs. */
  readonly endedAt: number | null;
  /** Set before its processes are ended from outside. */
  endReason: TerminalExit['reason'] | null;
}

const MERCY_MS = 1_000;
/** One that is about to begin is waited for. */
const BEGUN_MS = 20;

/** As a terminal that is closed does; what does not mind is killed a little later. */
export function hangUp(shell: HostShell): void {
  if (!shell.alive) return;
  shell.endReason ??= 'killed';
  const pid = shell.pid();
  if (pid === 0) {
    setTimeout(() => hangUp(shell), BEGUN_MS).unref();
    return;
  }
  for (const name of ['SIGHUP', 'SIGCONT'] as const) kill(pid, name);
  setTimeout(() => {
    if (shell.alive) kill(shell.pid(), 'SIGKILL');
  }, MERCY_MS).unref();
  // Whoever waits for it may be stopped, and tells nothing.
  setTimeout(() => {
    if (shell.alive) kill(shell.waiter(), 'SIGKILL');
  }, 2 * MERCY_MS).unref();
}

/** Is something else than the shell in its foreground? Null: it cannot be told. */
export function foregroundBusy(shell: HostShell): boolean | null {
  if (!shell.alive) return false;
  const pid = shell.pid();
  if (pid === 0) return null;
  // proc(5): field 5 is the process group, field 8 the terminal's foreground process group.
  const fields = statOf(pid);
  return fields.length === 0 ? null : fields[2] !== fields[5];
}

function kill(pid: number, name: NodeJS.Signals): void {
  if (pid <= 0) return;
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
