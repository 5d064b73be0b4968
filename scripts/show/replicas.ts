/*
 * Three servers as processes of their own behind nginx, round-robin without stickiness, on one MongoDB, one Redis and one container engine.
 * What each replica adds; what all of them together must do once; a terminal that is cut between them; one of them killed under load,
 * and one that stops.
 *
 *   DOCKER_HOST=unix:///var/run/docker.sock MONGODB_URL=… npm run show:replicas [-- --short]
 *
 * The engine must have the image devpocket/tiny:1. redis-server and nginx are started here, on ports of their own.
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { Load, Typist, Writer } from './load';
import { ReplicaSet, type Somebody, until } from './replica-set';
import { check, conclude, say } from './verdict';

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
const REPLICAS = 3;
const CUTS = values.short ? 20 : 50;
const MEASURE_MS = values.short ? 2_000 : 10_000;
const CONNECTIONS = 32;
const TERMINALS_EACH = 4;
const RECOVERY_MS = 5_000;
/** A replica is given up five seconds after it was last heard of. */
const LEASE_MS = 5_000;

const replicas = new ReplicaSet();

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** Environments with their owners, one at home at each replica that there is: the next one is asked each time. */
async function homes(count: number): Promise<readonly { readonly owner: Somebody; readonly id: string }[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const owner = await replicas.somebody();
      return { owner, id: await replicas.environment(owner) };
    }),
  );
}

async function measure(count: number): Promise<void> {
  const places = await homes(REPLICAS);
  const [first] = places;
  if (!first) return;
  const load = new Load(`${replicas.nginx.url}/api/v1/environments`, await first.owner.client.accessToken(), CONNECTIONS);
  await delay(MEASURE_MS);
  await load.stop();
  const good = load.answers.filter(({ status }) => status === 200).length;
  check(
    good === load.answers.length,
    `${load.answers.length - good} of ${load.answers.length} requests were not answered by 200`,
  );
  const typists = places.flatMap(({ owner, id }) => Array.from({ length: TERMINALS_EACH }, () => new Typist(owner, id)));
  await Promise.all(typists.map((typist) => typist.repeatLines()));
  let turns = 0;
  const end = performance.now() + MEASURE_MS;
  await Promise.all(
    typists.map(async (typist) => {
      while (performance.now() < end) {
        typist.line();
        await typist.hears(`line ${typist.lines}\r\n`);
        turns += 1;
      }
    }),
  );
  for (const { client } of typists) client.close();
  const each = MEASURE_MS / 1000;
  say(
    `${count} replica${count > 1 ? 's' : ' '}: ${Math.round(good / each)} requests/s (p99 ${load.p99(0, Infinity)} ms), ${typists.length} terminals with ${Math.round(turns / each)} lines/s there and back`,
  );
}

async function together(): Promise<void> {
  const { servers } = replicas;
  const owner = await replicas.somebody();
  const token = await owner.client.accessToken();
  const call = (at: number, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${replicas.at(at).url}/api/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const bearer = { authorization: `Bearer ${token}` };

  const asked = await call(0, '/tickets', { purpose: 'events' }, bearer);
  const { ticket } = (await asked.json()) as { ticket: string };
  const sockets = Array.from({ length: 100 }, (_, at) => open(at, `/api/v1/ws/events?ticket=${ticket}`));
  const codes = await Promise.all(sockets.map(({ judged }) => judged));
  check(codes.filter((code) => code === 0).length === 1, `a ticket let ${codes.filter((code) => code === 0).length} of 100 in`);
  for (const { socket } of sockets) socket.terminate();

  const limited = await replicas.somebody();
  const credential = await limited.client.accessToken();
  const handshakes = Array.from({ length: 90 }, (_, at) => open(at, `/api/v1/ws/events?token=${credential}`));
  const judged = await Promise.all(handshakes.map((each) => each.judged));
  const [taken, refused] = [judged.filter((code) => code === 0).length, judged.filter((code) => code === 4429).length];
  check(taken === 60 && refused === 30, `of 90 handshakes of a user ${taken} were taken and ${refused} refused, for 60 a minute`);
  for (const { socket } of handshakes) socket.terminate();

  const wrong = { username_or_email: owner.name, password: 'Wrong-horse-1' };
  const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => call(at, '/auth/login', wrong)));
  const told = await Promise.all(answers.map(async (answer) => ((await answer.json()) as { code: string }).code));
  const guesses = told.filter((code) => code === 'invalid_credentials').length;
  const locked = told.filter((code) => code === 'account_locked').length;
  check(guesses === 5 && locked === 15, `of 20 wrong passwords ${guesses} were tried and ${locked} found it locked`);

  const wish = { name: 'once', template: 'ubuntu' };
  const made = await Promise.all(
    Array.from({ length: 12 }, (_, at) => call(at, '/environments', wish, { ...bearer, 'idempotency-key': 'once' })),
  );
  const ids = new Set(await Promise.all(made.map(async (answer) => ((await answer.json()) as { id: string }).id)));
  check(ids.size === 1 && made.every(({ status }) => status === 201), `one key made ${ids.size} environments`);
  for (const id of ids) await owner.client.request('DELETE', `/environments/${id}`);

  const signedIn = servers.map((_, at) => open(at, `/api/v1/ws/events?token=${token}`));
  await Promise.all(signedIn.map((each) => each.judged));
  const shutOut = replicas.cli('user', 'deactivate', owner.name);
  const closed = Promise.all(signedIn.map(({ over }) => over)).then(() => performance.now());
  // From the moment on at which the database has it.
  while ((await fetch(`${replicas.at(0).url}/api/v1/auth/me`, { headers: bearer })).status !== 401) await delay(10);
  const done = performance.now();
  const late = (await closed) - done;
  await shutOut;
  check(late < 1_000, `the command line's word came to all replicas after ${seconds(late)} s`);
  say(
    `together: a ticket let 1 of 100 in, 60 of 90 handshakes were taken, 5 of 20 passwords tried, 1 environment made of 12 requests with one key; deactivated by the command line, closed everywhere within ${Math.max(0, Math.round(late))} ms`,
  );
}

interface Opened {
  readonly socket: WebSocket;
  /** 0: it is open and stays so; else the code that it was closed with. */
  readonly judged: Promise<number>;
  readonly over: Promise<number>;
}

function open(at: number, path: string): Opened {
  const socket = new WebSocket(`${replicas.at(at).url.replace('http', 'ws')}${path}`);
  const over = new Promise<number>((resolve) => socket.on('close', resolve));
  socket.on('error', () => undefined);
  const opened = new Promise<void>((resolve) => socket.once('open', resolve));
  // A refusal follows its handshake at once; nothing else says that there is none.
  const judged = Promise.race([over, opened.then(() => delay(500)).then(() => 0)]);
  return { socket, judged, over };
}

/** Types and reads while the connection is cut again and again: the next one leads to another replica. */
async function cut(): Promise<void> {
  const [place] = await homes(1);
  if (!place) return;
  const lines = values.short ? 60_000 : 200_000;
  const between = Math.floor((lines * 5) / CUTS);
  let left = between;
  const typist: Typist = new Typist(place.owner, place.id, (bytes) => {
    left -= bytes;
    if (left > 0 || typist.cuts >= CUTS) return;
    left = between * (0.5 + Math.random());
    setImmediate(() => typist.cut());
  });
  await typist.begin(`seq ${lines}`);
  await typist.finish(false);
  const numbers = Array.from({ length: lines }, (_, at) => `${at + 1}\n`).join('');
  check(sha256(typist.printed) === sha256(numbers), 'a byte was lost or repeated in the output');
  check(typist.gaps === 0, `${typist.gaps} gaps`);
  const outputCuts = typist.cuts;
  check(outputCuts >= CUTS / 2, `the output was cut ${outputCuts} times only`);

  typist.heard = '';
  await typist.repeatLines();
  left = Infinity;
  let mine = 0;
  for (; typist.cuts < outputCuts + CUTS; mine += 1) {
    typist.line();
    if (mine % 10 === 5) typist.cut();
    await delay(2);
  }
  await typist.finish();
  const typed = Array.from({ length: mine }, (_, at) => `line ${at + 1}\n`).join('');
  check(sha256(typist.printed) === sha256(typed), 'a typed line was lost, repeated or out of order');
  typist.client.close();
  say(
    `cut between replicas ${outputCuts} times in ${lines} lines of output and ${typist.cuts - outputCuts} times while ${mine} lines were typed: ${typist.connections} connections, the transcripts' SHA-256 are equal`,
  );
}

/** Under load. @param end how one of the replicas ends */
async function without(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const places = await homes(REPLICAS);
  const typists = places.map(({ owner, id }) => new Typist(owner, id));
  await Promise.all(typists.map((typist) => typist.repeatLines()));
  const writers = places.map(({ owner, id }) => new Writer(owner, id));
  const newcomers = [await replicas.somebody(), await replicas.somebody()];
  const [first] = places;
  if (!first) return;
  const load = new Load(`${replicas.nginx.url}/api/v1/environments`, await first.owner.client.accessToken(), 8, 5);
  let typing = true;
  const typed = Promise.all(
    typists.map(async (typist) => {
      while (typing) {
        typist.line();
        await delay(20);
      }
    }),
  );
  await delay(3_000);
  const before = load.p99(0, Infinity);
  const connections = typists.map((typist) => typist.connections);
  // Environments that are being made meanwhile settle.
  const making = Promise.all(newcomers.map((owner) => replicas.environment(owner)));
  making.catch(() => undefined); // told when it is waited for
  const killed = performance.now();
  const victim = replicas.at(1);
  await victim.end(signal);
  const gone = performance.now() - killed;
  const answered = typists.map((typist) => ({ typist, from: typist.lines }));
  await Promise.all(answered.map(({ typist, from }) => until('a terminal answers', 30_000, () => typist.said > from)));
  const back = performance.now() - killed;
  await delay(Math.max(0, RECOVERY_MS + 3_000 - (performance.now() - killed)));
  const settled = await making;
  typing = false;
  await typed;
  await load.stop();
  for (const writer of writers) for (const wrong of await writer.judge()) check(false, wrong);
  for (const typist of typists) {
    await typist.finish();
    const lines = Array.from({ length: typist.lines }, (_, at) => `line ${at + 1}\n`).join('');
    check(sha256(typist.printed) === sha256(lines), 'a typed line was lost, repeated or out of order');
    typist.client.close();
  }
  const [during, after] = [load.p99(killed, killed + RECOVERY_MS), load.p99(killed + RECOVERY_MS, Infinity)];
  check(after <= Math.max(3 * before, 250), `p99 was ${before} ms and is ${after} ms ${RECOVERY_MS / 1000} s later`);
  check(back < LEASE_MS + 5_000, `terminals were back after ${seconds(back)} s`);
  const moved = typists.filter((typist, at) => typist.connections > (connections[at] ?? 0)).length;
  const keys = writers.reduce((sum, writer) => sum + writer.keys.length, 0);
  const changes = writers.reduce((sum, writer) => sum + writer.described, 0);
  const bad = load.answers.map(({ status }) => status).filter((status) => status !== 200);
  const failed = bad.length;
  if (signal === 'SIGTERM') check(failed === 0, `requests failed while a replica stopped: ${bad.join(', ')}`);
  say(
    `${signal === 'SIGKILL' ? 'killed with kill -9' : `stopped (${seconds(gone)} s)`}: ${changes} changes and ${keys} API keys acknowledged, none lost; of ${load.answers.length} reads ${failed} failed; p99 ${before} ms before, ${during} ms in the 5 s after, ${after} ms then; ${moved} of ${typists.length} terminals connected again, all answer after ${seconds(back)} s, ${typists.reduce((sum, { lines }) => sum + lines, 0)} lines typed once each; ${settled.length} environments made meanwhile run`,
  );
  await victim.start();
}

async function main(): Promise<void> {
  await replicas.open();
  say(`this machine has ${cpus().length} cores, which servers, nginx, MongoDB, Redis, the engine and this client share`);
  try {
    for (let count = 1; count <= REPLICAS; count += 1) {
      await replicas.grow();
      await measure(count);
    }
    await together();
    await cut();
    await without('SIGKILL');
    await without('SIGTERM');
  } catch (error) {
    say(replicas.said.slice(-20).join(''));
    throw error;
  } finally {
    await replicas.close();
  }
}

conclude(main);
