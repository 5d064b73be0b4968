import { ApiError, isRecord, RestClient } from '@devpocket/client';
import { Installation, openDatabase } from '@devpocket/database';
import { testSettings } from '@testing/config';
import { serverKubeConfig, TEST_IMAGE, TestCluster } from '@testing/runtime-kubernetes';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import mongoose, { type Connection } from 'mongoose';
import { freePort, ServerProcess } from '../../../scripts/show/server-process';
import { type Talk, talk } from './talk';

const CLI = resolve('dist/apps/cli/src/main.js');
const PASSWORD = 'Correct-horse-1';
const OPERATOR = 'operator';
const LOOK_MS = 200;
/** Of one step: a pod takes some seconds to end, a namespace some more. */
const STEP_MS = 60_000;

export type Row = Readonly<Record<string, unknown>>;

/**
 * Built servers as processes of their own on one database, and the real cluster behind them. They are only asked over HTTP and
 * WebSocket, and everything that they say is kept.
 */
export class ServerRig {
  /** What was logged, and every answer. */
  readonly said: string[] = [];
  readonly servers: ServerProcess[] = [];
  private readonly dataDir = mkdtempSync(join(tmpdir(), 'devpocket-rig-'));
  private readonly clients = new Map<string, RestClient>();
  private readonly talks: Talk[] = [];
  private settings: Readonly<Record<string, string>> = {};
  private opened: { readonly cluster: TestCluster; readonly database: Connection } | null = null;

  constructor(private readonly env: Readonly<Record<string, string>> = {}) {}

  /** To look behind the servers. */
  get cluster(): TestCluster {
    return this.behind.cluster;
  }

  private get behind(): { readonly cluster: TestCluster; readonly database: Connection } {
    if (!this.opened) throw new Error('not started');
    return this.opened;
  }

  async start(replicas = 1): Promise<void> {
    const url = process.env.MONGODB_URL;
    const env = {
      DATA_DIR: this.dataDir,
      RUNTIME: 'kubernetes',
      LOG_LEVEL: 'debug',
      RATE_LIMIT_ENABLED: 'false',
      BCRYPT_ROUNDS: '4',
      ALLOW_CUSTOM_IMAGES: 'true',
      ALLOWED_IMAGE_PATTERNS: '*',
      WS_MAX_CONNECTIONS_PER_USER: '50',
      ...(url ? { MONGODB_URL: url, DATABASE_NAME: `rig_${process.pid}_${Date.now().toString(36)}` } : {}),
      ...this.env,
    };
    for (let at = 0; at < replicas; at += 1) {
      const server = new ServerProcess(await freePort(), env, (text) => this.said.push(text));
      this.servers.push(server);
      await server.start();
    }
    await this.user(OPERATOR);
    this.settings = env;
    await this.cli('user', 'promote', OPERATOR);
    const { id } = await this.ask('GET', '/auth/me');
    await this.ask('PATCH', `/users/${String(id)}`, { subscription_plan: 'admin' });
    const { database: settings } = testSettings(env);
    const handle = await openDatabase(settings, { log: () => undefined }, true);
    const database = await mongoose.createConnection(handle.url, handle.options).asPromise();
    this.opened = { database, cluster: await TestCluster.open(await new Installation(database).id()) };
  }

  async close(): Promise<void> {
    for (const { socket } of this.talks) socket.terminate();
    for (const server of this.servers) await server.end('SIGINT');
    await this.opened?.cluster.close();
    if (process.env.MONGODB_URL) await this.opened?.database.dropDatabase();
    await this.opened?.database.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  private async cli(...args: readonly string[]): Promise<void> {
    const { PATH = '' } = process.env;
    await promisify(execFile)(process.execPath, [CLI, ...args], { env: { PATH, ...this.settings } });
  }

  /** @param yaml as `devpocket templates load` takes it */
  async addTemplate(yaml: string): Promise<void> {
    const file = join(this.dataDir, 'template.yaml');
    writeFileSync(file, yaml);
    await this.cli('templates', 'load', file);
  }

  /** A new account, which servers then know by its name. */
  async user(name: string): Promise<void> {
    const client = this.clientOf(name, 0);
    await client.register({ username: name, email: `${name}@example.com`, password: PASSWORD });
  }

  private clientOf(user: string, server: number): RestClient {
    const url = this.servers[server]?.url ?? '';
    const client = this.clients.get(`${user} ${url}`) ?? new RestClient({ url });
    this.clients.set(`${user} ${url}`, client);
    return client;
  }

  /** @throws ApiError */
  async ask(method: string, path: string, body?: unknown, { user = OPERATOR, server = 0 } = {}): Promise<Row> {
    const client = this.clientOf(user, server);
    try {
      const answer = await client.request(method, path, body).catch(async (error: unknown) => {
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
        await client.login(user, PASSWORD);
        return client.request(method, path, body);
      });
      this.said.push(JSON.stringify(answer));
      return isRecord(answer) ? answer : { items: answer };
    } catch (error) {
      if (error instanceof ApiError) this.said.push(JSON.stringify(error.problem));
      throw error;
    }
  }

  async addCluster(name: string, more: Row = {}, kubeConfig = serverKubeConfig()): Promise<string> {
    const kube_config = Buffer.from(kubeConfig).toString('base64');
    return String((await this.ask('POST', '/clusters', { name, region: 'us-east', kube_config, is_default: true, ...more })).id);
  }

  async create(name: string, more: Row = {}, as: { readonly user?: string; readonly server?: number } = {}): Promise<string> {
    const small = { cpu: '100m', memory: '64Mi', storage: '16Mi' };
    const body = { name, template: 'custom', image: TEST_IMAGE, resources: small, region: 'us-east', ...more };
    return String((await this.ask('POST', '/environments', body, as)).id);
  }

  /** Looks until it is so. @throws Error saying what it is instead */
  async reach(
    id: string,
    is: (environment: Row) => boolean,
    { within = STEP_MS, user = OPERATOR, server = 0 } = {},
  ): Promise<Row> {
    const end = performance.now() + within;
    for (;;) {
      const seen = await this.ask('GET', `/environments/${id}`, undefined, { user, server });
      if (is(seen)) return seen;
      if (performance.now() > end) {
        const { name, status, status_reason: reason, status_message: message } = seen;
        throw new Error(`${String(name)} is ${String(status)} (${String(reason)}: ${String(message)}) after ${within / 1000} s`);
      }
      await delay(LOOK_MS);
    }
  }

  reachStatus(id: string, status: string, options: Parameters<ServerRig['reach']>[2] = {}): Promise<Row> {
    return this.reach(id, (seen) => seen.status === status, options);
  }

  /** What it showed so far, oldest first, as `status` or `status reason`. */
  async history(id: string, user = OPERATOR): Promise<readonly string[]> {
    const { items } = await this.ask('GET', `/environments/${id}/events?limit=100`, undefined, { user });
    const rows = (Array.isArray(items) ? items : []) as readonly Row[];
    const words = ({ type, reason }: Row): string[] => [type, reason].filter((word) => typeof word === 'string');
    return rows.map((one) => words(one).join(' ')).reverse();
  }

  /** Deletes it, and waits until the cluster holds nothing of it. @returns how long that took */
  async remove(id: string, user = OPERATOR): Promise<number> {
    const began = performance.now();
    await this.ask('DELETE', `/environments/${id}`, undefined, { user });
    await this.until(async () => !(await this.cluster.left()).some((name) => name.includes(id)), `${id} is still there`);
    return performance.now() - began;
  }

  /** Waits until the cluster holds nothing of this installation. */
  async untilEmpty(): Promise<void> {
    let left: readonly string[] = [];
    const isEmpty = async (): Promise<boolean> => (left = await this.cluster.left()).length === 0;
    await this.until(isEmpty, () => `something is left: ${left.join(', ')}`);
  }

  /** @throws Error with `otherwise` when it is not so in time */
  async until(holds: () => boolean | Promise<boolean>, otherwise: string | (() => string), within = STEP_MS): Promise<void> {
    const end = performance.now() + within;
    while (!(await holds())) {
      if (performance.now() > end) {
        const what = typeof otherwise === 'string' ? otherwise : otherwise();
        throw new Error(`${what} after ${within / 1000} s`);
      }
      await delay(LOOK_MS);
    }
  }

  /** A terminal, new or of a session. */
  async shell(id: string, { user = OPERATOR, server = 0, query = '' } = {}): Promise<Shell> {
    const { ticket } = await this.ask('POST', `/environments/${id}/terminal-ticket`, undefined, { user, server });
    const path = `/api/v1/ws/terminal/${id}?ticket=${String(ticket)}&cols=80&rows=24${query}`;
    const told = talk(this.servers[server]?.url ?? '', path);
    this.talks.push(told);
    told.socket.on('message', (data: Buffer) => this.said.push(data.toString()));
    return new Shell(told);
  }

  /** Every document of the servers' database. */
  async dump(): Promise<string> {
    const { database } = this.behind;
    const collections = (await database.db?.collections()) ?? [];
    const documents = await Promise.all(collections.map((collection) => collection.find({}).toArray()));
    return JSON.stringify(documents.flat());
  }
}

/** What is typed and shown in a terminal over WebSocket. */
export class Shell {
  constructor(readonly talk: Talk) {}

  type(data: string): void {
    this.talk.socket.send(JSON.stringify({ type: 'input', data }));
  }

  get heard(): string {
    return this.talk.messages.map((message) => (message.type === 'output' ? String(message.data) : '')).join('');
  }

  async told(type: string): Promise<Row> {
    for (const end = performance.now() + STEP_MS; performance.now() < end; await delay(20)) {
      const message = this.talk.messages.find((one) => one.type === type);
      if (message) return message;
      if (this.talk.socket.readyState === this.talk.socket.CLOSED) break;
    }
    throw new Error(`no ${type}, but ${JSON.stringify(this.talk.messages.at(-1))}`);
  }

  /** @returns what the expression's first group caught */
  async hears(text: string | RegExp): Promise<string> {
    for (const end = performance.now() + STEP_MS; performance.now() < end; await delay(20)) {
      const found = typeof text === 'string' ? this.heard.includes(text) && [text] : text.exec(this.heard);
      if (found) return found[1] ?? found[0] ?? '';
    }
    throw new Error(`not heard: ${String(text)}, but ${this.heard.slice(-500)}`);
  }
}
