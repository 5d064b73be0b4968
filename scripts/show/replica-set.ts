import { ApiError, isRecord, RestClient } from '@devpocket/client';
import { RedisServer } from '@testing/shared-state';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import mongoose from 'mongoose';
import { RoundRobin } from './round-robin';
import { freePort, ServerProcess } from './server-process';

export const PASSWORD = 'Correct-horse-1';
const IMAGE = 'devpocket/tiny:1';
const STATUS_MS = 60_000;

export function needed(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is needed: see the head of scripts/show/replicas.ts`);
  return value;
}

export interface Somebody {
  readonly name: string;
  readonly client: RestClient;
}

/** Servers as processes of their own on one database, one Redis and one container engine, behind one nginx. */
export class ReplicaSet {
  readonly redis = new RedisServer();
  readonly nginx = new RoundRobin();
  readonly servers: ServerProcess[] = [];
  /** What they printed from `warn` on. */
  readonly said: string[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), 'devpocket-replicas-'));
  private readonly database = `replicas_${process.pid}`;
  private env: Readonly<Record<string, string>> = {};
  private people = 0;
  private readonly made: { readonly owner: Somebody; readonly id: string }[] = [];

  async open(): Promise<void> {
    await this.redis.start();
    this.env = {
      RUNTIME: 'docker',
      DOCKER_HOST: needed('DOCKER_HOST'),
      MONGODB_URL: needed('MONGODB_URL'),
      DATABASE_NAME: this.database,
      REDIS_URL: this.redis.url,
      SECRET_KEY: randomBytes(32).toString('hex'),
      ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      BCRYPT_ROUNDS: '4',
      ALLOW_CUSTOM_IMAGES: 'true',
      ALLOWED_IMAGE_PATTERNS: IMAGE,
      RATE_LIMIT_PER_MINUTE: '1000000',
      AUTH_RATE_LIMIT_PER_MINUTE: '1000',
      WS_MAX_CONNECTIONS_PER_USER: '200',
      TRUSTED_PROXIES: '127.0.0.1',
    };
  }

  /** One more server, which nginx knows then. @returns seconds that it took */
  async grow(): Promise<number> {
    const dataDir = join(this.folder, String(this.servers.length));
    const server = new ServerProcess(await freePort(), { ...this.env, DATA_DIR: dataDir }, (text) => this.said.push(text));
    this.servers.push(server);
    const took = await server.start();
    await this.nginx.lead(this.servers.map(({ port }) => port));
    return took / 1000;
  }

  /** Of the server at this place in the order in which they were started. */
  at(index: number): ServerProcess {
    const server = this.servers[index % this.servers.length];
    if (!server) throw new Error('no server');
    return server;
  }

  async cli(...args: readonly string[]): Promise<void> {
    const env = { PATH: process.env.PATH ?? '', DATA_DIR: join(this.folder, 'cli'), ...this.env };
    await promisify(execFile)(process.execPath, ['dist/apps/cli/src/main.js', ...args], { env });
  }

  async somebody(): Promise<Somebody> {
    const name = `somebody-${(this.people += 1)}`;
    const client = new RestClient({ url: this.nginx.url });
    await client.register({ username: name, email: `${name}@example.com`, password: PASSWORD });
    await client.login(name, PASSWORD);
    return { name, client };
  }

  /** An environment that runs, of its own user: each plan has one at least. */
  async environment(owner: Somebody): Promise<string> {
    const resources = { cpu: '250m', memory: '64Mi', storage: '64Mi' };
    const body = { name: 'show', template: 'custom', image: IMAGE, resources };
    const key = { 'idempotency-key': randomBytes(12).toString('hex') };
    let made: unknown = null;
    // A proxy does not send what may have had an effect a second time; with a key it is safe to.
    await until(`${owner.name} has an environment`, STATUS_MS, async () => {
      made = await owner.client.request('POST', '/environments', body, key).catch((error: unknown) => {
        if (error instanceof ApiError && error.status < 500 && error.status !== 409) throw error;
        return null;
      });
      return made !== null;
    });
    const id = isRecord(made) ? String(made.id) : '';
    this.made.push({ owner, id });
    await until(`the environment of ${owner.name} runs`, STATUS_MS, async () => {
      const seen = await owner.client.environment(id).catch(() => null);
      if (seen?.status === 'error') throw new Error(`${id}: ${String(seen.status_reason)} ${String(seen.status_message)}`);
      return seen?.status === 'running';
    });
    return id;
  }

  async close(): Promise<void> {
    for (const { owner, id } of this.made) await owner.client.request('DELETE', `/environments/${id}`).catch(() => undefined);
    const connection = await mongoose.createConnection(needed('MONGODB_URL'), { dbName: this.database }).asPromise();
    const left = (): Promise<number> => connection.collection('environments').countDocuments();
    await until('environments are gone', STATUS_MS, async () => (await left()) === 0).catch(() => undefined);
    await Promise.all(this.servers.map((server) => server.end('SIGTERM')));
    await this.nginx.close();
    await this.redis.close();
    await connection.dropDatabase();
    await connection.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function until(what: string, ms: number, is: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + ms; !(await is()); await delay(20))
    if (performance.now() > end) throw new Error(`${what}: not within ${ms / 1000} s`);
}
