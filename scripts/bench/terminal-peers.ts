import { isRecord, RestClient } from '@devpocket/client';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, ServerProcess } from '../show/server-process';
import { BINARY_DIALECT, JSON_DIALECT, RawTerminal, TTYD_DIALECT } from './raw-terminal';

const PASSWORD = 'Correct-horse-1';
const SIZE = { cols: 100, rows: 30 };
const SHELL = ['/bin/bash', '--norc', '--noprofile'];

/** Something whose terminals are measured. */
export interface Peer {
  readonly name: string;
  open(): Promise<RawTerminal>;
  /** Its processes, without shells. */
  pids(): readonly number[];
  end(): Promise<void>;
}

/** Time on a processor so far, in milliseconds; of each thread, to the nanosecond (the kernel's sched-stats.rst). */
export function cpuOf(pids: readonly number[]): number {
  const files = pids.flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`));
  return files.reduce((sum, file) => sum + Number.parseInt(readFileSync(file, 'utf8'), 10) / 1e6, 0);
}

/** Memory of their own in KiB: the program's text comes and goes with what was lately called, and is shared. */
export function anonymousOf(pids: readonly number[]): number {
  return statusOf(pids, 'RssAnon');
}

/** Resident memory in KiB. */
export function rssOf(pids: readonly number[]): number {
  return statusOf(pids, 'VmRSS');
}

function statusOf(pids: readonly number[], name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+)`, 'm');
  return pids.reduce((sum, pid) => sum + Number(line.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0), 0);
}

/** Our server on the local runtime, with the limits of the contract raised. */
export class DevPocket {
  private constructor(
    private readonly server: ServerProcess,
    private readonly client: RestClient,
    private readonly environmentId: string,
    private readonly dataDir: string,
  ) {}

  static async start(): Promise<DevPocket> {
    const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-terminal-'));
    const env = {
      DATA_DIR: dataDir,
      RUNTIME: 'local',
      RATE_LIMIT_ENABLED: 'false',
      WS_MAX_CONNECTIONS_PER_USER: '10000',
      TERMINAL_MAX_SESSIONS_PER_ENVIRONMENT: '10000',
    };
    const user = ['user', 'create', '--username', 'bench', '--email', 'bench@example.com', '--admin'];
    await promisify(execFile)(process.execPath, [join(process.cwd(), 'dist/apps/cli/src/main.js'), ...user], {
      env: { PATH: process.env.PATH ?? '', DEVPOCKET_PASSWORD: PASSWORD, ...env },
    });
    const server = new ServerProcess(await freePort(), env);
    await server.start();
    const client = new RestClient({ url: server.url });
    await client.login('bench', PASSWORD);
    const me = await client.request('GET', '/auth/me');
    if (isRecord(me)) await client.request('PATCH', `/users/${String(me.id)}`, { subscription_plan: 'admin' });
    await client.login('bench', PASSWORD);
    const resources = { cpu: '4000m', memory: '8Gi', storage: '20Gi' };
    const made = await client.request('POST', '/environments', { name: 'bench', template: 'ubuntu', resources });
    const id = isRecord(made) ? String(made.id) : '';
    for (;;) {
      const { status } = await client.environment(id);
      if (status === 'running') break;
      if (status === 'error') throw new Error('The environment did not start');
      await delay(20);
    }
    return new DevPocket(server, client, id, dataDir);
  }

  pids(): readonly number[] {
    return [this.server.pid, this.hostPid()];
  }

  /** @param query more options of the URL, such as `&session_id=…` */
  async open(protocol: 'json' | 'binary', query = ''): Promise<RawTerminal> {
    const token = await this.client.accessToken();
    const size = `cols=${SIZE.cols}&rows=${SIZE.rows}`;
    const url = `${this.server.url}/api/v1/ws/terminal/${this.environmentId}?token=${token}&${size}${query}`;
    const deflate = query.includes('deflate=1');
    return protocol === 'json'
      ? RawTerminal.open(url, [], JSON_DIALECT, deflate)
      : RawTerminal.open(url, ['devpocket.v1.binary'], BINARY_DIALECT, deflate);
  }

  as(protocol: 'json' | 'binary'): Peer {
    return {
      name: protocol,
      open: () => this.open(protocol),
      pids: () => this.pids(),
      end: () => Promise.resolve(),
    };
  }

  async end(): Promise<void> {
    const host = this.hostPid();
    await this.server.end('SIGINT');
    while (alive(host)) await delay(20); // it ends with a server that is interrupted
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  private hostPid(): number {
    const found = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .find((pid) => {
        const command = commandOf(pid);
        return command.includes('pty-host/src/main.js') && command.includes(this.dataDir);
      });
    return Number(found ?? 0);
  }
}

export async function startTtyd(binary: string): Promise<Peer> {
  const port = await freePort();
  const child = spawn(binary, ['--port', String(port), '--interface', '127.0.0.1', '--writable', '--', ...SHELL], {
    stdio: 'ignore',
    env: { PATH: process.env.PATH ?? '', TERM: 'xterm-256color', HOME: tmpdir() },
  });
  await listening(port);
  return {
    name: 'ttyd',
    open: async () => {
      const terminal = await RawTerminal.open(`http://127.0.0.1:${port}/ws`, ['tty'], TTYD_DIALECT);
      terminal.send(2, Buffer.from(JSON.stringify({ AuthToken: '', columns: SIZE.cols, rows: SIZE.rows })));
      return terminal;
    },
    pids: () => [child.pid ?? 0],
    end: () => ended(child),
  };
}

export async function startPump(): Promise<Peer> {
  const child = spawn(process.execPath, [join(__dirname, 'terminal-pump.js')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve) => child.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk))));
  return {
    name: 'pump',
    open: () => RawTerminal.plain(port),
    pids: () => [child.pid ?? 0],
    end: () => ended(child),
  };
}

async function listening(port: number): Promise<void> {
  for (;;) {
    try {
      await fetch(`http://127.0.0.1:${port}/`);
      return;
    } catch {
      await delay(20);
    }
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill();
  });
}

function alive(pid: number): boolean {
  return commandOf(String(pid)) !== '';
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}
