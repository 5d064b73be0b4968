import { lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Longest path of a Unix socket on Linux, without its ending zero (unix(7)). */
const LONGEST_SOCKET_PATH = 103;

/** Where a host that listens at `socketPath` takes descriptors. */
export function descriptorPath(socketPath: string): string {
  return socketPath.replace(/\.sock$/, '.fds');
}

/** Where everything of the local runtime is below DATA_DIR. */
export class Layout {
  constructor(readonly dataDir: string) {}

  get environments(): string {
    return join(this.dataDir, 'environments');
  }

  folder(environmentId: string): string {
    return join(this.environments, environmentId);
  }

  workspace(environmentId: string): string {
    return join(this.folder(environmentId), 'workspace');
  }

  state(environmentId: string): string {
    return join(this.folder(environmentId), 'state.json');
  }

  log(environmentId: string): string {
    return join(this.folder(environmentId), 'log');
  }

  get hostLog(): string {
    return join(this.dataDir, 'run', 'pty-host.log');
  }

  /** In DATA_DIR; where its path is too long for a socket, in a folder of this user's under the temporary folder. */
  hostSocket(): string {
    const folder = join(this.dataDir, 'run');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'pty-host.sock');
    if (Buffer.byteLength(path) <= LONGEST_SOCKET_PATH) return path;
    const digest = createHash('sha256').update(this.dataDir).digest('hex').slice(0, 16);
    const other = join(tmpdir(), `devpocket-${process.getuid?.() ?? 0}-${digest}`);
    mkdirSync(other, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(other);
    // Anybody can make a folder there first, and would hold the socket.
    if (uid !== (process.getuid?.() ?? uid) || (mode & 0o170077) !== 0o040000)
      throw new Error(`${other} is not this user's own folder. Remove it, or use a DATA_DIR with a shorter path.`);
    return join(other, 'pty-host.sock');
  }
}

/** What must outlive the host; written by it alone. */
export interface EnvironmentState {
  /** Of the installation that it belongs to. */
  readonly install: string;
  readonly incarnation: number;
  /** Of its processes on this machine, where the server may choose; else null. */
  readonly uid: number | null;
  readonly running: boolean;
  readonly startupDone: boolean;
  readonly startupFailed: string | null;
  /** Why it ended without being asked to. */
  readonly ended: {
    readonly reason: 'out_of_memory' | 'volume_full' | 'runtime_state_lost' | 'internal';
    readonly message: string;
  } | null;
}

export function readState(layout: Layout, environmentId: string): EnvironmentState | null {
  try {
    return JSON.parse(readFileSync(layout.state(environmentId), 'utf8')) as EnvironmentState;
  } catch {
    return null; // there is none, or a crash before the first write
  }
}

export function writeState(layout: Layout, environmentId: string, state: EnvironmentState): void {
  const file = layout.state(environmentId);
  writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}
