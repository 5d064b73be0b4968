import { isRecord, RestClient, TerminalClient, type TerminalClientOptions } from '@devpocket/client';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { freePort, ServerProcess } from './server-process';

const PASSWORD = 'Correct-horse-1';
const NAME = 'shower';

/** A server on the local runtime, its limits raised, with environments that run: for shows of terminals. */
export class TerminalWorld {
  private constructor(
    readonly server: ServerProcess,
    readonly client: RestClient,
    readonly environmentIds: readonly string[],
    private readonly dataDir: string,
  ) {}

  /** @param more settings of the server @param environments how many: the processes of each are limited */
  static async start(more: Readonly<Record<string, string>> = {}, environments = 1): Promise<TerminalWorld> {
    const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-show-'));
    const env = {
      DATA_DIR: dataDir,
      RUNTIME: 'local',
      RATE_LIMIT_ENABLED: 'false',
      BCRYPT_ROUNDS: '8',
      WS_MAX_CONNECTIONS_PER_USER: '10000',
      TERMINAL_MAX_SESSIONS_PER_ENVIRONMENT: '10000',
      ...more,
    };
    const user = ['user', 'create', '--username', NAME, '--email', `${NAME}@example.com`, '--admin'];
    await promisify(execFile)(process.execPath, [join(process.cwd(), 'dist/apps/cli/src/main.js'), ...user], {
      env: { PATH: process.env.PATH ?? '', DEVPOCKET_PASSWORD: PASSWORD, ...env },
    });
    const server = new ServerProcess(await freePort(), env);
    await server.start();
    const client = new RestClient({ url: server.url });
    await client.login(NAME, PASSWORD);
    const me = await client.request('GET', '/auth/me');
    if (isRecord(me)) await client.request('PATCH', `/users/${String(me.id)}`, { subscription_plan: 'admin' });
    const ids: string[] = [];
    for (let n = 1; n <= environments; n += 1) ids.push(await running(client, `show-${n}`));
    return new TerminalWorld(server, client, ids, dataDir);
  }

  get environmentId(): string {
    return this.environmentIds[0] ?? '';
  }

  /** Not connected yet. @param url another way to the server */
  terminal(
    options: Omit<TerminalClientOptions, 'url' | 'environmentId' | 'token' | 'cols' | 'rows'> & {
      readonly environmentId?: string;
    },
    url = this.server.url,
  ): TerminalClient {
    return new TerminalClient({
      url,
      environmentId: this.environmentId,
      token: () => this.client.accessToken(),
      cols: 100,
      rows: 30,
      openSocket: (address, protocols) =>
        new WebSocket(address, protocols) as unknown as ReturnType<NonNullable<TerminalClientOptions['openSocket']>>,
      ...options,
    });
  }

  async remove(sessionId: string, environmentId = this.environmentId): Promise<void> {
    await this.client.request('DELETE', `/environments/${environmentId}/terminals/${sessionId}`);
  }

  /** Closes every shell. @returns how many there were */
  async removeAll(): Promise<number> {
    let count = 0;
    for (const environmentId of this.environmentIds) {
      const told = await this.client.request('GET', `/environments/${environmentId}/terminals`);
      for (const one of Array.isArray(told) ? (told as readonly unknown[]) : []) {
        if (!isRecord(one)) continue;
        count += 1;
        await this.remove(String(one.session_id), environmentId);
      }
    }
    return count;
  }

  get serverPid(): number {
    return this.server.pid;
  }

  get hostPid(): number {
    const found = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .find((pid) => {
        const command = commandOf(Number(pid));
        return command.includes('pty-host/src/main.js') && command.includes(this.dataDir);
      });
    return Number(found ?? 0);
  }

  async end(): Promise<void> {
    const host = this.hostPid;
    await this.server.end('SIGINT');
    while (host > 0 && commandOf(host) !== '') await delay(20); // it ends with a server that is interrupted
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

async function running(client: RestClient, name: string): Promise<string> {
  const resources = { cpu: '4000m', memory: '8Gi', storage: '20Gi' };
  const made = await client.request('POST', '/environments', { name, template: 'ubuntu', resources });
  const id = isRecord(made) ? String(made.id) : '';
  for (;;) {
    const { status } = await client.environment(id);
    if (status === 'running') return id;
    if (status === 'error') throw new Error('The environment did not start');
    await delay(20);
  }
}

export interface ProcessUse {
  readonly rssKib: number;
  readonly descriptors: number;
}

export function useOf(pid: number): ProcessUse {
  const rss = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { rssKib: Number(rss ?? 0), descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}
