/*
 * Runs the server itself in a cluster, from the manifests of production: two pods of an image made here, on the rights of their account
 * and a root that nobody writes to. Through its Service: an account, an environment with a terminal in it; the replicas replaced
 * one by one under requests, with the shell going on; the database gone and back; the environment deleted, and nothing left.
 *
 *   IMAGE_IMPORT='ctr --namespace k8s.io images import' KUBECONFIG=… MONGODB_URL=… npm run show:in-cluster [-- --short]
 *
 * IMAGE_IMPORT is the command that brings an archive (its last argument) to the cluster's nodes. Services must have addresses that can be
 * opened from here, and the image devpocket/tiny:1 must be there.
 */
import { isRecord, RestClient, TerminalClient } from '@devpocket/client';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import mongoose from 'mongoose';
import { apply, asServed, kubectl, remove, renderAs, type Rendered } from '../kubernetes/kustomize';
import { buildServerImage } from '../kubernetes/server-image';
import { Crowd } from './crowd';
import { TcpRelay } from './tcp-relay';
import { check, conclude, say } from './verdict';

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
const RESTARTS = values.short ? 1 : 5;
const NAMESPACE = `devpocket-show-${process.pid}`;
const DATABASE = `show_${process.pid}`;
const DEPLOYMENT = `devpocket-${NAMESPACE}`;
const TERMINATION_GRACE_SECONDS = 35;
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

function needed(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is needed: see the head of scripts/show/in-cluster.ts`);
  return value;
}

/** @returns seconds that it took */
async function timed(work: () => Promise<unknown> | void): Promise<number> {
  const begun = performance.now();
  await work();
  return Math.round((performance.now() - begun) / 100) / 10;
}

async function until(what: string, seconds: number, look: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await delay(200);
  }
}

const inside = (...args: readonly string[]): Promise<string> => kubectl(['--namespace', NAMESPACE, ...args]);

interface PodView {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly podIP?: string;
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly restartCount: number }[];
  };
}

async function pods(): Promise<readonly PodView[]> {
  return (JSON.parse(await inside('get', 'pods', '--output=json')) as { readonly items: readonly PodView[] }).items;
}

async function readyPods(): Promise<number> {
  return (await pods()).filter(({ status }) => status.containerStatuses?.every(({ ready }) => ready)).length;
}

/** Two ready pods, and none of those before them. */
async function settled(): Promise<void> {
  await inside('rollout', 'status', `deployment/${DEPLOYMENT}`, '--timeout=120s');
}

/** Node's own answer in a pod of the server, whose image has nothing else to run. */
async function inPod(script: string): Promise<string> {
  return (await inside('exec', `deployment/${DEPLOYMENT}`, '--', 'node', '-e', script)).trim();
}

function manifestsFor(image: string, mongodbUrl: string): Promise<readonly Rendered[]> {
  const [newName = '', newTag = ''] = image.split(':');
  const more = {
    images: [{ name: 'devpocket/server', newName, newTag }],
    // An autoscaler that has no figures of usage makes none.
    replicas: [{ name: 'devpocket', count: 2 }],
    configMapGenerator: [
      {
        name: 'devpocket',
        behavior: 'merge',
        literals: [
          `DATABASE_NAME=${DATABASE}`,
          'ALLOW_CUSTOM_IMAGES=true',
          'ALLOWED_IMAGE_PATTERNS=devpocket/tiny:1',
          'RATE_LIMIT_ENABLED=false',
        ],
      },
    ],
  };
  const key = (): string => randomBytes(32).toString('hex');
  const secret: Rendered = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'devpocket', namespace: NAMESPACE },
    stringData: { SECRET_KEY: key(), ENCRYPTION_KEY: key(), MONGODB_URL: mongodbUrl },
  };
  const [namespace, ...rest] = renderAs('overlays/production', { namespace: NAMESPACE, components: ['kubelet-usage'], more });
  return asServed([...(namespace ? [namespace] : []), secret, ...rest]);
}

/** A shell as a person has it. */
class Shell {
  private heard = '';
  connections = 0;
  ended = false;
  readonly client: TerminalClient;

  constructor(rest: RestClient, environmentId: string) {
    this.client = new TerminalClient({
      url: rest.url,
      environmentId,
      token: () => rest.accessToken(),
      cols: 80,
      rows: 24,
      onOutput: (data) => (this.heard += data),
      onConnected: () => (this.connections += 1),
      onEnd: () => (this.ended = true),
    });
    this.client.connect();
  }

  async says(line: string, answer: string): Promise<void> {
    this.client.input(`${line}\n`);
    await until(`${line} is answered by ${answer}`, 30, () => this.heard.includes(`${answer}\r\n`));
  }
}

async function replaceAll(rest: RestClient, shell: Shell): Promise<void> {
  for (let round = 1; round <= RESTARTS; round += 1) {
    const before = new Set((await pods()).map(({ metadata }) => metadata.name));
    const connectionsBefore = shell.connections;
    const crowd = new Crowd(rest.url);
    await inside('rollout', 'restart', `deployment/${DEPLOYMENT}`);
    const took = await timed(settled);
    const left = await timed(() =>
      until('the pods before are gone', 60, async () => !(await pods()).some(({ metadata }) => before.has(metadata.name))),
    );
    await crowd.stop();
    check(left < TERMINATION_GRACE_SECONDS - 5, `a pod took ${left} s to go: it was killed`);
    check(crowd.failed.length === 0, `requests failed: ${[...new Set(crowd.failed)].join(', ')}`);
    await shell.says(`echo "$kept round $((${round}+0))."`, `here round ${round}.`);
    check(shell.connections > connectionsBefore, 'the terminal was on no replica that was replaced');
    const asked = `${crowd.answered} requests answered, ${crowd.failed.length} not`;
    say(
      `replaced in ${took} s, old pods gone ${left} s later; ${asked}; the shell went on over ${shell.connections - connectionsBefore} more connections`,
    );
  }
}

async function main(): Promise<void> {
  const archive = join(tmpdir(), `devpocket-server-${process.pid}.tar`);
  let image = '';
  const built = await timed(() => void (image = buildServerImage(archive)));
  const [program = '', ...args] = needed('IMAGE_IMPORT').split(' ');
  const imported = await timed(() => void execFileSync(program, [...args, archive], { stdio: ['ignore', 'ignore', 'inherit'] }));
  rmSync(archive);
  say(`image ${image}: made in ${built} s, imported in ${imported} s`);

  const database = new URL(needed('MONGODB_URL'));
  // Where pods find the API server they find this machine.
  const api = new URL(await kubectl(['config', 'view', '--minify', '--output=jsonpath={.clusters[0].cluster.server}']));
  const relay = LOOPBACK.has(database.hostname)
    ? new TcpRelay(api.hostname, { host: database.hostname, port: Number(database.port || 27017) })
    : null;
  await relay?.start();
  const seen = new URL(database);
  if (relay) seen.host = relay.address;
  const objects = await manifestsFor(image, seen.href);
  try {
    await apply(objects);
    const started = await timed(settled);
    const service = await inside('get', 'service', DEPLOYMENT, '--output=jsonpath={.spec.clusterIP}');
    say(`two pods ready after ${started} s`);

    check((await inPod('process.stdout.write(String(process.getuid()))')) === '1000', 'the server is another user than 1000');
    const write = "try { fs.writeFileSync('/app/x', ''); } catch ({ code }) { process.stdout.write(code); }";
    check((await inPod(write)) === 'EROFS', 'the root can be written to');
    const health = await inside(
      'exec',
      `deployment/${DEPLOYMENT}`,
      '--',
      'node',
      'dist/apps/cli/src/main.js',
      'cluster',
      'check',
    );
    say(`clusters, by the command line in a pod: ${health.trim()}`);
    check(
      /^in-cluster +healthy/.test(health) && health.trim().split('\n').length === 1,
      'the replicas did not register their cluster once',
    );
    const [pod] = await pods();
    check((await fetch(`http://${service}/metrics`)).status === 404, 'metrics are where the public is');
    check((await fetch(`http://${pod?.status.podIP ?? ''}:9090/metrics`)).status === 200, 'metrics are not on their port');

    const rest = new RestClient({ url: `http://${service}` });
    const account = { username: 'ada', email: 'ada@example.com', password: 'Correct-horse-1' };
    await rest.register(account);
    await rest.login(account.username, account.password);
    const wish = { name: 'first', template: 'custom', image: 'devpocket/tiny:1' };
    const made = await rest.request('POST', '/environments', wish);
    const id = isRecord(made) ? String(made.id) : '';
    const running = await timed(() =>
      until('the environment runs', 60, async () => (await rest.environment(id)).status === 'running'),
    );
    const shell = new Shell(rest, id);
    await shell.says('kept=here; echo "$((6*7)) is typed" >file; cat file', '42 is typed');
    say(`an environment running after ${running} s, and a shell in it`);

    await replaceAll(rest, shell);

    if (relay) {
      await relay.stop();
      const noticed = await timed(() => until('no pod is ready without the database', 60, async () => (await readyPods()) === 0));
      await relay.start();
      const back = await timed(() => until('both pods are ready again', 60, async () => (await readyPods()) === 2));
      const restarts = (await pods()).flatMap(
        ({ status }) => status.containerStatuses?.map(({ restartCount }) => restartCount) ?? [],
      );
      check(
        restarts.every((count) => count === 0),
        'a server was restarted because its database was gone',
      );
      say(`without the database not ready after ${noticed} s, with it ready after ${back} s, restarts: ${restarts.join()}`);
    }

    await shell.says('echo "$kept still"; cat file', 'here still');
    check(!shell.ended, 'the shell ended');
    await rest.request('DELETE', `/environments/${id}`);
    const gone = await timed(() =>
      until('nothing is left of the environment', 60, async () => {
        const left = await kubectl([
          'get',
          'pods,persistentvolumeclaims,secrets,services',
          '-A',
          `-ldevpocket.io/env=${id}`,
          '--output=name',
        ]);
        return left === '';
      }),
    );
    say(`the environment deleted, nothing left after ${gone} s`);
    await until('the shell knows', 10, () => shell.ended);
  } catch (error) {
    say(await inside('get', 'pods', '--output=wide'));
    for (const { metadata, status } of await pods()) {
      const ended = status.containerStatuses?.some(({ restartCount }) => restartCount > 0) ? ['--previous'] : [];
      say(await inside('logs', metadata.name, '--tail=20', ...ended).catch(String));
    }
    throw error;
  } finally {
    await remove(objects);
    await relay?.stop();
    const connection = await mongoose.createConnection(needed('MONGODB_URL'), { dbName: DATABASE }).asPromise();
    await connection.dropDatabase();
    await connection.close();
  }
}

conclude(main);
