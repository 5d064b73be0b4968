/*
 * What the server costs on top of the least that does the same: GET /environments/{id} and login, against a bare Express
 * handler with the same database read (and the same bcrypt comparison), in turns in the same run. Prints ratios.
 *
 *   npm run bench:rest [-- --short]
 */
import { isRecord, RestClient } from '@devpocket/client';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort, ServerProcess } from '../show/server-process';
import { type Call, load, type LoadResult, median } from './load';

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
const ROUNDS = values.short ? 3 : 5;
const SECONDS = values.short ? 2 : 5;
const CONNECTIONS = 16;
const PASSWORD = 'Correct-horse-1';

async function startPeer(databaseUrl: string, name: string): Promise<{ url: string; end: () => void }> {
  const port = await freePort();
  const child = spawn(process.execPath, [join(__dirname, 'bare-express.js')], {
    env: { PATH: process.env.PATH ?? '', MONGODB_URL: databaseUrl, DATABASE_NAME: name, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('the peer ended while starting')));
  });
  return { url: `http://127.0.0.1:${port}`, end: () => void child.kill() };
}

async function compare(title: string, ours: Call, peer: Call, connections: number): Promise<void> {
  const rounds: { ours: LoadResult; peer: LoadResult }[] = [];
  await load(ours, connections, 1);
  await load(peer, connections, 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push({ ours: await load(ours, connections, SECONDS), peer: await load(peer, connections, SECONDS) });
  }
  const of = (pick: (result: LoadResult) => number, side: 'ours' | 'peer'): number =>
    median(rounds.map((round) => pick(round[side])));
  const failures = rounds.reduce((sum, round) => sum + round.ours.failures + round.peer.failures, 0);
  const row = (name: string, side: 'ours' | 'peer'): string =>
    `  ${name.padEnd(13)} ${of(({ perSecond }) => perSecond, side)
      .toFixed(0)
      .padStart(
        6,
      )} requests/s   p50 ${of(({ p50 }) => p50, side).toFixed(2)} ms   p99 ${of(({ p99 }) => p99, side).toFixed(2)} ms`;
  const ratio = (pick: (result: LoadResult) => number): string =>
    median(rounds.map((round) => pick(round.ours) / pick(round.peer))).toFixed(2);
  process.stdout.write(
    [
      `${title} (${connections} connections, ${ROUNDS} rounds of ${SECONDS} s)`,
      row('devpocket', 'ours'),
      row('bare Express', 'peer'),
      `  ratio         ${ratio(({ perSecond }) => perSecond)} × requests/s, ${ratio(({ p99 }) => p99)} × p99`,
      ...(failures > 0 ? [`  ${failures} FAILED CALLS`] : []),
      '',
    ].join('\n'),
  );
  if (failures > 0) process.exitCode = 1;
}

async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-rest-'));
  const name = `rest_${process.pid}`;
  const mongo = process.env.MONGODB_URL;
  const server = new ServerProcess(await freePort(), {
    DATA_DIR: dataDir,
    DATABASE_NAME: name,
    RATE_LIMIT_ENABLED: 'false',
    ...(mongo ? { MONGODB_URL: mongo } : {}),
  });
  await server.start();
  const client = new RestClient({ url: server.url });
  await client.register({ username: 'bench', email: 'bench@example.com', password: PASSWORD });
  await client.login('bench', PASSWORD);
  const created = await client.request('POST', '/environments', { name: 'bench', template: 'ubuntu' });
  if (!isRecord(created)) throw new Error('no environment');
  const id = String(created.id);
  await client.request('POST', `/environments/${id}/stop`);
  const databaseUrl = mongo ?? /mongodb:\/\/\S+/.exec(server.log())?.[0] ?? '';
  const peer = await startPeer(databaseUrl, name);
  const json = { 'content-type': 'application/json' };
  try {
    await compare(
      'GET /environments/{id}',
      {
        url: `${server.url}/api/v1/environments/${id}`,
        method: 'GET',
        headers: { authorization: `Bearer ${await client.accessToken()}` },
      },
      { url: `${peer.url}/environments/${id}`, method: 'GET', headers: {} },
      CONNECTIONS,
    );
    await compare(
      'POST /auth/login (bcrypt cost 12)',
      {
        url: `${server.url}/api/v1/auth/login`,
        method: 'POST',
        headers: json,
        body: JSON.stringify({ username_or_email: 'bench', password: PASSWORD }),
      },
      {
        url: `${peer.url}/login`,
        method: 'POST',
        headers: json,
        body: JSON.stringify({ username: 'bench', password: PASSWORD }),
      },
      4,
    );
  } finally {
    peer.end();
    await server.end('SIGINT');
    rmSync(dataDir, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
