import { ApiError, isRecord, RestClient } from '@devpocket/client';
import { type ClusterInspector, type RuntimeDriver } from '@devpocket/runtime';
import { TemplatesService } from '@devpocket/templates';
import { UsersService } from '@devpocket/users';
import { testSettings } from '@testing/config';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose from 'mongoose';
import { type ConnectionLimits } from '../src/connection-limits';
import { openApiDocument } from '../src/documents/open-api';
import { localDriver } from '../src/runtime-drivers';
import { type DriverNeeds } from '../src/runtime.module';
import { type RunningServer, startServer } from '../src/server';
import { RoundRobin } from '../../../scripts/show/round-robin';
import { SharedDrivers } from './shared-drivers';
import { watchedFetch } from './witness';

export const PASSWORD = 'Correct-horse-1';

/** Servers that a `TestApi` consists of, round-robin behind nginx: then specs also need MONGODB_URL, and DEVPOCKET_TEST_REDIS. */
const REPLICAS = Number(process.env.DEVPOCKET_TEST_REPLICAS ?? 1);

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON, or the text of anything else, or null. */
  readonly body: unknown;
}

/** The whole server on a folder and a database of its own, for end-to-end specs. */
export class TestApi {
  private servers: readonly RunningServer[] = [];
  private ports: readonly number[] = [];
  private readonly nginx = REPLICAS > 1 ? new RoundRobin(true) : null;
  /** Judges every answer by the server's own document. */
  private readonly fetch: typeof fetch = (input, init) =>
    (this.watched ??= watchedFetch(openApiDocument(this.running.app)))(input, init);
  private watched: typeof fetch | null = null;
  readonly dataDir = mkdtempSync(join(tmpdir(), 'devpocket-api-'));
  readonly database = `test_${process.pid}_${Math.random().toString(36).slice(2, 10)}`;

  constructor(
    private readonly drivers: (
      dataDir: string,
      needs: DriverNeeds,
    ) => readonly RuntimeDriver[] | Promise<readonly RuntimeDriver[]>,
    private readonly env: Readonly<Record<string, string>> = {},
    private readonly inspector: ClusterInspector | null = null,
    private readonly limits?: ConnectionLimits,
  ) {}

  /** The server; the first of several. */
  get running(): RunningServer {
    const [first] = this.servers;
    if (!first) throw new Error('not started');
    return first;
  }

  get url(): string {
    return this.nginx?.url ?? this.running.url;
  }

  async start(): Promise<this> {
    const keys = { SECRET_KEY: 'k'.repeat(32) };
    const redis = REPLICAS > 1 ? { REDIS_URL: process.env.DEVPOCKET_TEST_REDIS ?? '' } : {};
    const settings = testSettings({ DATA_DIR: this.dataDir, DATABASE_NAME: this.database, ...redis, ...keys, ...this.env });
    const one = (drivers: (needs: DriverNeeds) => Promise<readonly RuntimeDriver[]>, port = settings.http.port) =>
      startServer(
        { ...settings, http: { ...settings.http, port }, auth: { ...settings.auth, secretKey: keys.SECRET_KEY } },
        { drivers, inspector: this.inspector },
        this.limits,
      );
    if (!this.nginx) {
      this.servers = [await one(async (needs) => this.drivers(this.dataDir, needs))];
      return this;
    }
    const shared = new SharedDrivers(REPLICAS, async (needs) => this.drivers(this.dataDir, needs));
    // Where they were before a restart: clients' connections to nginx go on.
    for (let at = 0; at < REPLICAS; at += 1)
      this.servers = [...this.servers, await one((needs) => shared.get(needs), this.ports[at])];
    this.ports = this.servers.map(({ url }) => Number(new URL(url).port));
    await this.nginx.lead(this.ports);
    return this;
  }

  async restart(): Promise<void> {
    await this.stop('SIGTERM');
    await this.start();
  }

  private async stop(signal: 'SIGINT' | 'SIGTERM'): Promise<void> {
    const { servers } = this;
    this.servers = [];
    await Promise.all(servers.map((server) => server.stop(signal)));
  }

  async close(): Promise<void> {
    await this.stop('SIGINT');
    await this.nginx?.close();
    const url = process.env.MONGODB_URL;
    if (url) {
      const connection = await mongoose.createConnection(url, { dbName: this.database }).asPromise();
      await connection.dropDatabase();
      await connection.close();
    }
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** A raw call below `/api/v1`, or from the root when `path` begins with `//`. */
  async call(
    method: string,
    path: string,
    options: { body?: unknown; token?: string; headers?: Readonly<Record<string, string>>; raw?: string | Buffer } = {},
  ): Promise<Answer> {
    const url = path.startsWith('//') ? this.url + path.slice(1) : `${this.url}/api/v1${path}`;
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await this.fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    // A stream of events goes on; that it began is the answer.
    const endless = response.headers.get('content-type')?.startsWith('text/event-stream');
    if (endless) await response.body?.cancel();
    const text = endless ? '' : await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? null : parse(text) };
  }

  async addTemplate(text: string): Promise<void> {
    const operator = { userId: null, ip: null, requestId: null };
    await this.running.app.get(TemplatesService).load([{ name: 'template.yaml', text }], operator);
  }

  /** A new account, signed in. */
  async user(name: string): Promise<TestUser> {
    const client = new RestClient({ url: this.url, fetch: this.fetch });
    await client.register({ username: name, email: `${name}@example.com`, password: PASSWORD });
    await client.login(name, PASSWORD);
    return { name, client, token: await client.accessToken() };
  }

  /** A new administrator with the largest plan, signed in. */
  async administrator(name: string): Promise<TestUser> {
    const { client } = await this.user(name);
    const users = this.running.app.get(UsersService, { strict: false });
    const id = (await users.findByName(name))?.id ?? '';
    await users.promote(id);
    await client.login(name, PASSWORD);
    await client.request('PATCH', `/users/${id}`, { subscription_plan: 'admin' });
    await client.login(name, PASSWORD);
    return { name, client, token: await client.accessToken() };
  }
}

/** Real shells on this machine, as the server itself would have them. */
export function localDrivers(dataDir: string): readonly RuntimeDriver[] {
  return [localDriver(localSettings(dataDir))];
}

/** The same where connections cannot be given to another process: sessions are the server's. */
export function localShellDrivers(dataDir: string): readonly RuntimeDriver[] {
  return [localDriver(localSettings(dataDir), 'for a test', null)];
}

function localSettings(dataDir: string): Parameters<typeof localDriver>[0] {
  const env = {
    DATA_DIR: dataDir,
    RUNTIME: 'local',
    LOCAL_RUNTIME_NETWORK: 'none',
    LOCAL_RUNTIME_ALLOW_UNSANDBOXED_USERS: 'true',
    TERMINAL_HOST_GRACE_SECONDS: '5',
  };
  return testSettings(env).runtime;
}

export interface TestUser {
  readonly name: string;
  readonly client: RestClient;
  readonly token: string;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** How many answers there were of each `status code`, e.g. `{ '201': 1, '400 name_taken': 99 }`. */
export function tally(answers: readonly Answer[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status, body } of answers) {
    const key = isRecord(body) && typeof body.code === 'string' ? `${status} ${body.code}` : String(status);
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** Calls `look` until it returns something; the condition of a spec that waits for background work. */
export async function eventually<T>(look: () => Promise<T | null | undefined | false>, timeoutMs = 15_000): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export { ApiError };
export * from './operations';
export * from './json-schemas';
export * from './bad-network';
export * from './event-source';
export * from './talk';
export * from './server-rig';
