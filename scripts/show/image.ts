/*
 * Builds the image of the Dockerfile, without BuildKit, and runs it as production would: nobody's user, no capability, no new privilege, a
 * root that nobody writes to, and the engine's socket for the environments. Of the server inside: the suite of environments; that it is found
 * healthy; that it ends in time, with its sockets told.
 *
 *   DOCKER_HOST=unix://… npm run show:image [-- --short]
 *
 * The engine must have the image devpocket/tiny:1. BASE names the image to build on; unset, `scripts/image/base.sh` makes one that stands in
 * for node:26-bookworm-slim (root on Debian, with debootstrap). --short builds with what the engine still has of an earlier build.
 */
import { isRecord, RestClient } from '@devpocket/client';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { check, conclude, say } from './verdict';

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
const NAME = `devpocket-show-${process.pid}`;
const IMAGE = `devpocket/server:show-${process.pid}`;
const STAND_IN = 'devpocket/node:26-bookworm-slim';
const GRACE_SECONDS = 20;
const HEALTHY_SECONDS = 60;
const PASSWORD = 'Correct-horse-1';

function docker(...args: readonly string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}

function inspected(what: string, format: string): string {
  return docker('inspect', '--format', format, what);
}

function seconds(begun: number): number {
  return Math.round((performance.now() - begun) / 100) / 10;
}

/** The engine's socket on the machine that containers run on. */
function socketPath(): string {
  const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  if (!host.startsWith('unix://')) throw new Error(`DOCKER_HOST=${host}: a socket is needed, to give it to the server`);
  return host.slice('unix://'.length);
}

function build(): void {
  const base = process.env.BASE ?? STAND_IN;
  if (process.env.BASE === undefined) {
    const begun = performance.now();
    execFileSync('scripts/image/base.sh', [STAND_IN], { stdio: ['ignore', 'ignore', 'inherit'] });
    say(`${STAND_IN} is there after ${seconds(begun)} s`);
  }
  const begun = performance.now();
  const options = [...(values.short ? [] : ['--no-cache']), '--network=host', `--build-arg=BASE=${base}`, `--tag=${IMAGE}`];
  const { status, stdout, stderr } = spawnSync('docker', ['build', ...options, '.'], {
    encoding: 'utf8',
    env: { ...process.env, DOCKER_BUILDKIT: '0' },
  });
  if (status !== 0) throw new Error(`docker build ended with ${status}: ${(stdout + stderr).slice(-2_000)}`);
  const megabytes = (of: string): number => Math.round(Number(inspected(of, '{{.Size}}')) / 1e6);
  say(`built in ${seconds(begun)} s: ${megabytes(IMAGE)} MB, ${megabytes(IMAGE) - megabytes(base)} MB of them above ${base}`);
}

/** @returns where it listens */
function start(): string {
  const socket = socketPath();
  const key = (): string => randomBytes(32).toString('hex');
  const env = {
    SECRET_KEY: key(),
    ENCRYPTION_KEY: key(),
    EMBEDDED_DB_IN_PRODUCTION: 'true',
    RUNTIME: 'docker',
    ALLOW_CUSTOM_IMAGES: 'true',
    ALLOWED_IMAGE_PATTERNS: 'devpocket/tiny:1',
    RATE_LIMIT_ENABLED: 'false',
    SHUTDOWN_GRACE_SECONDS: String(GRACE_SECONDS),
  };
  docker('network', 'create', NAME);
  docker(
    'run',
    '--detach',
    `--name=${NAME}`,
    `--network=${NAME}`,
    '--read-only',
    '--tmpfs=/tmp',
    '--user=10001',
    '--cap-drop=ALL',
    '--security-opt=no-new-privileges',
    `--group-add=${statSync(socket).gid}`,
    `--volume=${socket}:/var/run/docker.sock`,
    `--volume=${NAME}:/data`,
    '--publish=127.0.0.1::8000',
    ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
    IMAGE,
  );
  return `http://${docker('port', NAME, '8000/tcp')}`;
}

async function ready(url: string): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const there = await fetch(`${url}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (there) break;
    if (seconds(begun) > HEALTHY_SECONDS) throw new Error(`not ready after ${HEALTHY_SECONDS} s`);
    await delay(100);
  }
  say(`ready ${seconds(begun)} s after its start`);
}

async function healthy(): Promise<void> {
  const begun = performance.now();
  while (inspected(NAME, '{{.State.Health.Status}}') !== 'healthy') {
    if (seconds(begun) > HEALTHY_SECONDS)
      throw new Error(`not healthy after ${HEALTHY_SECONDS} s: ${inspected(NAME, '{{json .State}}')}`);
    await delay(500);
  }
}

/** What the program is allowed, as the kernel tells it of the server's own process. */
function confined(): void {
  const script = "process.stdout.write(fs.readFileSync('/proc/1/status', 'utf8'))";
  const status = docker('exec', NAME, 'node', '-e', script);
  const value = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  check(value('Uid').startsWith('10001\t'), `the server is the user ${value('Uid')}`);
  check(/^0+$/.test(value('CapBnd')) && /^0+$/.test(value('CapEff')), 'the server has capabilities');
  check(value('NoNewPrivs') === '1', 'the server may get privileges');
  check(value('Name') === 'tini', `process 1 is ${value('Name')}`);
  const write = "try { fs.writeFileSync('/app/x', '') } catch ({ code }) { process.stdout.write(code) }";
  check(docker('exec', NAME, 'node', '-e', write) === 'EROFS', 'the root can be written to');
  // A child whose parent ends is process 1's, and gone when it ends.
  docker('exec', NAME, 'sh', '-c', '(sleep 0.2 &)');
  spawnSync('sleep', ['0.5']);
  const stats =
    "fs.readdirSync('/proc').filter((p) => +p).map((p) => { try { return fs.readFileSync('/proc/' + p + '/stat', 'utf8') } catch { return '' } })";
  const dead = docker('exec', NAME, 'node', '-p', `${stats}.filter((s) => /\\) Z /.test(s)).length`);
  check(dead === '0', `${dead} processes ended and nobody took leave of them`);
}

function suite(url: string): void {
  const begun = performance.now();
  const { status } = spawnSync('npx', ['--no-install', 'jest', '--config=scripts/jest/served.config.js', '--ci'], {
    stdio: 'inherit',
    env: { ...process.env, SERVED_URL: url, SERVED_CONTAINER: NAME },
  });
  check(status === 0, 'the suite of environments did not pass');
  say(`the suite of environments: ${seconds(begun)} s`);
}

/** A stop as `docker stop` asks for it, with a terminal open. */
async function stop(url: string): Promise<void> {
  const rest = new RestClient({ url });
  await rest.register({ username: 'ada', email: 'ada@example.com', password: PASSWORD });
  await rest.login('ada', PASSWORD);
  const made = await rest.request('POST', '/environments', { name: 'last', template: 'custom', image: 'devpocket/tiny:1' });
  const id = isRecord(made) ? String(made.id) : '';
  while ((await rest.environment(id)).status !== 'running') await delay(100);
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/ws/terminal/${id}`, [
    'devpocket.v1.json',
    `bearer.${await rest.accessToken()}`,
  ]);
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  await new Promise((resolve) => socket.once('message', resolve));

  const begun = performance.now();
  docker('kill', '--signal=TERM', NAME);
  const code = await closed;
  const told = seconds(begun);
  const status = docker('wait', NAME);
  check(code === 1012, `the terminal was closed with ${code}`);
  check(status === '0', `the server ended with ${status}`);
  check(seconds(begun) < GRACE_SECONDS, `the stop took ${seconds(begun)} s`);
  say(`SIGTERM: the terminal closed with ${code} after ${told} s, the server ended with ${status} after ${seconds(begun)} s`);

  docker('start', NAME);
  const again = `http://${docker('port', NAME, '8000/tcp')}`;
  await ready(again);
  const back = new RestClient({ url: again });
  await back.login('ada', PASSWORD);
  check((await back.environment(id)).status === 'running', 'the environment did not outlive the server');
  await back.request('DELETE', `/environments/${id}`);
  const its = ['--quiet', `--filter=label=devpocket.io/env=${id}`];
  const left = (): string => docker('ps', '--all', ...its) + docker('volume', 'ls', ...its);
  for (const end = performance.now() + 30_000; left() !== '' && performance.now() < end;) await delay(200);
  check(left() === '', 'the environment’s containers or volumes are still there');
}

function clear(): void {
  for (const args of [
    ['rm', '--force', '--volumes', NAME],
    ['volume', 'rm', '--force', NAME],
    ['network', 'rm', NAME],
    ['rmi', IMAGE],
  ])
    spawnSync('docker', args, { stdio: 'ignore' });
}

async function main(): Promise<void> {
  try {
    build();
    const url = start();
    await ready(url);
    confined();
    suite(url);
    await healthy();
    say(`found ${inspected(NAME, '{{.State.Health.Status}}')} by its own check`);
    await stop(url);
  } catch (error) {
    spawnSync('docker', ['logs', '--tail=5', NAME], { stdio: ['ignore', 'inherit', 'inherit'] });
    throw error;
  } finally {
    clear();
  }
}

process.chdir(join(__dirname, '../../..'));
conclude(main);
