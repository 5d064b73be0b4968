/*
 * Kills the server with SIGKILL at random instants during a mixed load of creates, starts, stops, deletes and typing,
 * restarts it each time, and checks in the end that nothing acknowledged was lost, every environment settled, limits were
 * never exceeded, shells typed each line once, and no process or directory was left behind.
 *
 *   npm run show:kills [-- --short] [-- --kills=200] [-- --seed=1]
 */
import { ApiError, isRecord, RestClient, TerminalClient } from '@devpocket/client';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort, ServerProcess } from './server-process';

const { values } = parseArgs({
  options: { short: { type: 'boolean' }, kills: { type: 'string' }, seed: { type: 'string' }, users: { type: 'string' } },
});
const KILLS = Number(values.kills ?? (values.short ? 12 : 200));
const USERS = Number(values.users ?? 4);
const SETTLE_MS = 60_000;
const KEPT_LIMIT = 3;
const ACTIVE_LIMIT = 1;
const ACTIVE = new Set(['creating', 'starting', 'running', 'stopping']);

/** mulberry32: small, seeded, good enough to pick instants. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const seed = Number(values.seed ?? Date.now() % 1_000_000);
const next = random(seed);
const faults: string[] = [];
const counts = { created: 0, started: 0, stopped: 0, deleted: 0, typed: 0, resumed: 0, refused: 0, repeated: 0 };

function fault(text: string): void {
  faults.push(text);
  process.stdout.write(`FAULT ${text}\n`);
}

/** What one user was promised. */
interface Promised {
  readonly id: string;
  readonly name: string;
  /** The last wish that was acknowledged; `unknown` while one is under way. */
  wish: 'running' | 'stopped' | 'deleted' | 'unknown';
  /** How often it was asked to end its shells. */
  endings: number;
}

interface Typist {
  readonly environmentId: string;
  readonly file: string;
  readonly client: TerminalClient;
  lines: number;
  ended: boolean;
  /** The show is over: its end is ours. */
  done: boolean;
}

class User {
  readonly promised = new Map<string, Promised>();
  readonly typists: Typist[] = [];
  readonly client: RestClient;
  private names = 0;

  constructor(
    readonly name: string,
    private readonly server: ServerProcess,
  ) {
    this.client = new RestClient({ url: server.url });
  }

  async enter(): Promise<void> {
    const account = { username: this.name, email: `${this.name}@example.com`, password: 'Correct-horse-1' };
    await this.client.register(account);
    await this.client.login(this.name, account.password);
  }

  /** Repeats a call until the server answers it; a lost answer is asked for again under the same key. */
  private async persist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        const passing = !(error instanceof ApiError) || error.status >= 500 || error.status === 409 || error.status === 429;
        if (!passing) throw error;
        if (error instanceof ApiError && error.status === 500) fault(`500: ${error.message}`);
        counts.repeated += 1;
        await delay(20);
      }
    }
  }

  async step(stop: AbortSignal): Promise<void> {
    const alive = [...this.promised.values()].filter(({ wish }) => wish !== 'deleted');
    const one = alive[Math.floor(next() * alive.length)];
    const dice = next();
    if (!one || (dice < 0.12 && alive.length < KEPT_LIMIT)) await this.create();
    else if (dice < 0.24) await this.wish(one, 'start', 'running');
    else if (dice < 0.3) await this.wish(one, 'stop', 'stopped');
    else if (dice < 0.33) await this.remove(one);
    else await this.type(one);
    if (!stop.aborted) await delay(next() * 40);
  }

  private async create(): Promise<void> {
    this.names += 1;
    const name = `env-${this.names}`;
    const key = crypto.randomUUID();
    try {
      const answer = await this.persist(() =>
        this.client.request('POST', '/environments', { name, template: 'ubuntu' }, { 'idempotency-key': key }),
      );
      if (!isRecord(answer) || typeof answer.id !== 'string') return fault('a create was answered without an environment');
      this.promised.set(answer.id, { id: answer.id, name, wish: 'running', endings: 0 });
      counts.created += 1;
    } catch (error) {
      this.refused(error, ['environment_limit_reached']);
    }
  }

  private async wish(one: Promised, call: 'start' | 'stop', wish: 'running' | 'stopped'): Promise<void> {
    const before = one.wish;
    one.wish = 'unknown';
    if (call === 'stop') one.endings += 1;
    try {
      await this.persist(() =>
        this.client.request('POST', `/environments/${one.id}/${call}`, undefined, { 'idempotency-key': crypto.randomUUID() }),
      );
      one.wish = wish;
      counts[call === 'start' ? 'started' : 'stopped'] += 1;
    } catch (error) {
      one.wish = before;
      this.refused(error, ['environment_limit_reached', 'invalid_state'], one);
    }
  }

  private async remove(one: Promised): Promise<void> {
    one.wish = 'unknown';
    one.endings += 1;
    try {
      await this.persist(() => this.client.request('DELETE', `/environments/${one.id}`));
    } catch (error) {
      // The answer to the first attempt was lost, and the second says that it is gone.
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
    one.wish = 'deleted';
    counts.deleted += 1;
  }

  private async type(one: Promised): Promise<void> {
    let typist = this.typists.find(({ environmentId, ended }) => environmentId === one.id && !ended);
    if (!typist) {
      const environment = await this.persist(() => this.client.environment(one.id)).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 404) fault(`${one.name} of ${this.name} was promised and is gone`);
        return null;
      });
      if (environment?.status !== 'running' || this.typists.filter(({ ended }) => !ended).length >= 3) return;
      typist = this.attach(one);
    }
    typist.lines += 1;
    counts.typed += 1;
    typist.client.input(`echo ${typist.lines} >> ${typist.file}\n`);
  }

  private attach({ id: environmentId, name }: Promised): Typist {
    const endingsBefore = this.promised.get(environmentId)?.endings;
    const file = `typed-${this.typists.length + 1}`;
    const typist: Typist = {
      environmentId,
      file,
      lines: 0,
      ended: false,
      done: false,
      client: new TerminalClient({
        url: this.server.url,
        environmentId,
        token: () => this.persist(() => this.client.accessToken()),
        cols: 80,
        rows: 24,
        backoff: () => 20 + next() * 50,
        onOutput: () => undefined,
        onConnected: ({ resumed }) => {
          if (resumed === true) counts.resumed += 1;
        },
        onEnd: ({ exit, error, code }) => {
          typist.ended = true;
          if (typist.done || this.promised.get(environmentId)?.endings !== endingsBefore) return;
          fault(`a shell in ${name} of ${this.name} ended and nobody ended it: ${exit?.reason ?? error ?? String(code)}`);
        },
      }),
    };
    typist.client.connect();
    this.typists.push(typist);
    return typist;
  }

  /** A refusal that the contract allows is no fault; anything else is. */
  private refused(error: unknown, allowed: readonly string[], one?: Promised): void {
    if (error instanceof ApiError && allowed.includes(error.code)) {
      counts.refused += 1;
      return;
    }
    if (error instanceof ApiError && error.status === 404 && one)
      return fault(`${one.name} of ${this.name} was promised and is gone`);
    throw error;
  }

  /** Limits and promises as the API shows them now. */
  async checkLimits(): Promise<readonly { id: string; name: string; status: string }[]> {
    const environments = await this.persist(() => this.client.environments());
    const active = environments.filter(({ status }) => ACTIVE.has(status));
    if (active.length > ACTIVE_LIMIT)
      fault(
        `${this.name} has ${active.length} active environments: ${active.map(({ name, status }) => `${name} ${status}`).join(', ')}`,
      );
    if (environments.length > KEPT_LIMIT) fault(`${this.name} keeps ${environments.length} environments`);
    return environments;
  }
}

/** No environment too many, and no place lost either: each user fills up to the limits, and not beyond. */
async function checkExact(client: RestClient, name: string): Promise<void> {
  const post = async (path: string, body?: object): Promise<string> =>
    client.request('POST', path, body, { 'idempotency-key': crypto.randomUUID() }).then(
      () => 'done',
      (error: unknown) => (error instanceof ApiError ? error.code : String(error)),
    );
  const settled = async (): Promise<readonly { id: string; status: string }[]> => {
    for (;;) {
      const all = await client.environments();
      if (all.every(({ status }) => ['running', 'stopped', 'error'].includes(status))) return all;
      await delay(50);
    }
  };
  const stopAll = async (): Promise<readonly { id: string }[]> => {
    for (const { id, status } of await settled()) if (status === 'running') await post(`/environments/${id}/stop`);
    return settled();
  };
  for (let kept = (await stopAll()).length; kept <= KEPT_LIMIT; kept += 1) {
    const said = await post('/environments', { name: `fill-${kept}`, template: 'ubuntu' });
    const expected = kept < KEPT_LIMIT ? 'done' : 'environment_limit_reached';
    if (said !== expected) fault(`create number ${kept + 1} of ${name} beside none that is active: ${said}, not ${expected}`);
    await stopAll();
  }
  const [one, two] = await settled();
  for (const [id, expected] of [
    [one?.id, 'done'],
    [two?.id, 'environment_limit_reached'],
  ] as const) {
    const said = await post(`/environments/${String(id)}/start`);
    if (said !== expected) fault(`start of ${name}: ${said}, not ${expected}`);
  }
}

async function settle(users: readonly User[]): Promise<void> {
  const begun = performance.now();
  for (const user of users) {
    for (;;) {
      const environments = await user.checkLimits();
      const unsettled = environments.filter(({ status }) => !['running', 'stopped', 'error'].includes(status));
      if (unsettled.length === 0) break;
      if (performance.now() - begun > SETTLE_MS) {
        for (const { name, status } of unsettled) fault(`${name} of ${user.name} is still ${status}`);
        break;
      }
      await delay(100);
    }
  }
  process.stdout.write(`settled after ${Math.round(performance.now() - begun)} ms\n`);
}

async function checkPromises(user: User): Promise<void> {
  const shown = new Map((await user.checkLimits()).map((environment) => [environment.id, environment]));
  for (const { id, name, wish } of user.promised.values()) {
    const environment = shown.get(id);
    shown.delete(id);
    if (wish === 'deleted' && environment) fault(`${name} of ${user.name} was deleted and is ${environment.status}`);
    if (wish !== 'deleted' && !environment) fault(`${name} of ${user.name} was promised and is gone`);
    // Whatever happens to the server, its environments go on: none has a reason to fail.
    if (environment?.status === 'error') fault(`${name} of ${user.name} is in error`);
    if (environment && wish === 'running' && environment.status === 'stopped')
      fault(`${name} of ${user.name} should run and is stopped`);
    if (environment && wish === 'stopped' && environment.status === 'running')
      fault(`${name} of ${user.name} should be stopped and runs`);
  }
  for (const { name } of shown.values()) fault(`${name} of ${user.name} exists and nobody was told`);
}

/** Each line once, in order, none missing before the last: what a shell that lived on, or died honestly, leaves. */
function checkTyping(user: User, dataDir: string): void {
  for (const typist of user.typists) {
    let text: string;
    try {
      text = readFileSync(join(dataDir, 'environments', typist.environmentId, 'workspace', typist.file), 'utf8');
    } catch {
      if (typist.ended || typist.lines === 0) continue; // deleted, or nothing was typed before its end
      text = '';
    }
    const lines = text.split('\n').slice(0, -1).map(Number);
    const wrong = lines.findIndex((line, index) => line !== index + 1);
    if (wrong !== -1) fault(`${typist.file} of ${user.name}: line ${wrong + 1} is ${lines[wrong]} of ${lines.length}`);
    if (!typist.ended && lines.length !== typist.lines)
      fault(`${typist.file} of ${user.name}: ${lines.length} of ${typist.lines} lines arrived in a living shell`);
  }
}

/** Processes that see the folder: by command line, working directory or mounts; or that serve an environment of it. */
function processesOf(folder: string, ids: readonly string[]): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const read = (file: string): string => {
        try {
          return file === 'cwd' ? readlinkSync(`/proc/${pid}/cwd`) : readFileSync(`/proc/${pid}/${file}`, 'utf8');
        } catch {
          return ''; // it ended meanwhile, or is the kernel's
        }
      };
      if (['cmdline', 'cwd', 'mountinfo'].some((file) => read(file).includes(folder))) return true;
      return ids.some((id) => read('environ').includes(`DEVPOCKET_ENVIRONMENT=${id}`));
    })
    .map((pid) => `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 120)}`);
}

async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-kills-'));
  const server = new ServerProcess(await freePort(), {
    DATA_DIR: dataDir,
    RATE_LIMIT_ENABLED: 'false',
    BCRYPT_ROUNDS: '4',
    WS_MAX_CONNECTIONS_PER_USER: '20',
    TERMINAL_HOST_GRACE_SECONDS: '60',
    ...(process.env.MONGODB_URL ? { MONGODB_URL: process.env.MONGODB_URL, DATABASE_NAME: `kills_${process.pid}` } : {}),
  });
  process.stdout.write(`${KILLS} kills, ${USERS} users, seed ${seed}\n`);
  const starts = [await server.start()];
  const users = Array.from({ length: USERS }, (_, index) => new User(`user-${index + 1}`, server));
  for (const user of users) await user.enter();

  const stop = new AbortController();
  const work = users.map(async (user) => {
    while (!stop.signal.aborted) await user.step(stop.signal);
  });
  const begun = performance.now();
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await delay(30 + next() * 900);
    await server.end('SIGKILL');
    starts.push(await server.start());
    if (kill % 20 === 0)
      process.stdout.write(`${kill} kills after ${Math.round((performance.now() - begun) / 1000)} s ${JSON.stringify(counts)}\n`);
  }
  stop.abort();
  await Promise.all(work);
  await settle(users);
  await quiet(users);
  for (const user of users) {
    await checkPromises(user);
    checkTyping(user, dataDir);
  }
  if (KILLS > 5 && counts.resumed === 0) fault('no shell was ever found again');
  await checkFolders(users, dataDir);
  await checkProcesses(users, dataDir);
  for (const typist of users.flatMap(({ typists }) => typists)) {
    typist.done = true;
    typist.client.close();
  }
  for (const { client, name } of users) await checkExact(client, name);
  await server.end('SIGINT');
  const left = await gone(dataDir, users.flatMap(idsOf));
  for (const line of left) fault(`left behind: ${line}`);
  rmSync(dataDir, { recursive: true, force: true });
  starts.sort((a, b) => a - b);
  process.stdout.write(
    `${JSON.stringify(counts)}\nready after a kill: median ${Math.round(starts[starts.length >> 1] ?? 0)} ms, longest ${Math.round(starts.at(-1) ?? 0)} ms\n`,
  );
  process.stdout.write(
    faults.length === 0 ? `${KILLS} kills: nothing lost, nothing left behind\n` : `${faults.length} faults (seed ${seed})\n`,
  );
  process.exit(faults.length === 0 ? 0 : 1);
}

/** Waits until every living shell has taken what was typed and had time to run it. */
async function quiet(users: readonly User[]): Promise<void> {
  const end = performance.now() + 20_000;
  const busy = (): boolean =>
    users.some(({ typists }) => typists.some(({ client, ended }) => !ended && client.unacknowledged > 0));
  while (busy() && performance.now() < end) await delay(50);
  await delay(1_000);
}

/** Environments' folders are those of the environments there are, once the last deletes are through. */
async function checkFolders(users: readonly User[], dataDir: string): Promise<void> {
  const expected = new Set<string>();
  for (const user of users) for (const { id } of await user.checkLimits()) expected.add(id);
  const orphans = (): readonly string[] =>
    readdirSync(join(dataDir, 'environments')).filter((id) => /^[0-9a-f]{24}$/.test(id) && !expected.has(id));
  const end = performance.now() + SETTLE_MS;
  while (orphans().length > 0 && performance.now() < end) await delay(200);
  for (const id of orphans()) fault(`the folder of ${id} has no environment`);
}

const idsOf = ({ promised }: User): readonly string[] => [...promised.keys()];

/** What is stopped or deleted has no process, also while the server and the other environments live. */
async function checkProcesses(users: readonly User[], dataDir: string): Promise<void> {
  for (const user of users) {
    const running = new Set((await user.checkLimits()).filter(({ status }) => status === 'running').map(({ id }) => id));
    for (const id of idsOf(user).filter((one) => !running.has(one)))
      for (const line of await gone(join(dataDir, 'environments', id), [id]))
        fault(`${id} does not run and has a process: ${line}`);
  }
}

async function gone(folder: string, ids: readonly string[]): Promise<readonly string[]> {
  const end = performance.now() + 10_000;
  while (processesOf(folder, ids).length > 0 && performance.now() < end) await delay(100);
  return processesOf(folder, ids);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
