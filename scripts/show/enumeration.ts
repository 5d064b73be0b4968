/*
 * Asks a running server about accounts that there are and names that nobody has, taking turns, and compares how long the answers take.
 *
 *   npm run show:enumeration [-- --short]
 *
 * A pair of classes passes while it cannot be told apart: it fails when the Mann–Whitney test finds a difference beyond 4 standard
 * deviations (by chance one run in 15 000) that is also more than 5 % of the median, beyond what two halves of one class differ by.
 * One without the other is no way in: a difference without size tells nothing, a size without certainty is noise.
 */
import { RestClient } from '@devpocket/client';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort, ServerProcess } from './server-process';

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
const SAMPLES = values.short ? 80 : 600;
/** Below the fifth, which locks. */
const TRIES = 4;
const DEVIATIONS = 4;
const SHARE = 0.05;
const PASSWORD = 'Correct-horse-1';

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;

/** The Mann–Whitney test by its normal approximation: by how many standard deviations the ranks of `a` are off. */
function deviations(a: readonly number[], b: readonly number[]): number {
  const ranked = [...a.map((time) => ({ time, of: 'a' })), ...b.map((time) => ({ time, of: 'b' }))].sort(
    (x, y) => x.time - y.time,
  );
  const ranks = ranked.reduce((sum, { of }, index) => (of === 'a' ? sum + index + 1 : sum), 0);
  const u = ranks - (a.length * (a.length + 1)) / 2;
  const spread = Math.sqrt((a.length * b.length * (a.length + b.length + 1)) / 12);
  return (u - (a.length * b.length) / 2) / spread;
}

/** @throws Error when it is not answered as it should be */
async function timed(url: string, body: object, status: number): Promise<number> {
  const begun = performance.now();
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  const took = performance.now() - begun;
  if (answer.status !== status) throw new Error(`${url}: ${answer.status} ${text}`);
  return took;
}

/** @returns whether the two cannot be told apart */
function compare(name: string, known: readonly number[], unknown: readonly number[]): boolean {
  const halves = [0, 1].map((odd) => median(known.filter((_, index) => index % 2 === odd)));
  const noise = Math.abs((halves[0] ?? 0) - (halves[1] ?? 0));
  const [a, b] = [median(known), median(unknown)];
  const z = deviations(known, unknown);
  const apart = Math.abs(z) > DEVIATIONS && Math.abs(a - b) > SHARE * a + noise;
  process.stdout.write(
    `${name}: ${a.toFixed(2)} ms for an account, ${b.toFixed(2)} ms for none, halves of one class ${noise.toFixed(2)} ms apart; ` +
      `${z.toFixed(1)} standard deviations: ${apart ? 'TOLD APART' : 'not told apart'}\n`,
  );
  return !apart;
}

async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-enumeration-'));
  const env = {
    DATA_DIR: dataDir,
    RUNTIME: 'local',
    LOCAL_RUNTIME_ALLOW_UNSANDBOXED_USERS: 'true',
    RATE_LIMIT_ENABLED: 'false',
    BCRYPT_ROUNDS: '8',
  };
  const server = new ServerProcess(await freePort(), env);
  try {
    await server.start();
    const client = new RestClient({ url: server.url });
    const accounts = Math.ceil(SAMPLES / TRIES) + 1;
    for (let n = 0; n < accounts; n += 1)
      await client.register({ username: `known-${n}`, email: `known-${n}@example.com`, password: PASSWORD });
    const api = `${server.url}/api/v1`;
    const wrong = 'Wrong-horse-1';
    const login = (name: string) => timed(`${api}/auth/login`, { username_or_email: name, password: wrong }, 401);
    const forgot = (name: string) => timed(`${api}/auth/forgot-password`, { email: `${name}@example.com` }, 202);
    const verdicts: boolean[] = [];
    const known: number[][] = [];
    for (const [what, ask] of [
      ['POST /auth/login', login],
      ['POST /auth/forgot-password', forgot],
    ] as const) {
      const times: Record<'known' | 'nobody', number[]> = { known: [], nobody: [] };
      for (const kind of ['known', 'nobody'] as const) await ask(`${kind}-${accounts - 1}`);
      for (let n = 0; n < SAMPLES; n += 1) {
        // Taking turns, and who is first too: what slows the machine slows both.
        const order = n % 2 === 0 ? (['known', 'nobody'] as const) : (['nobody', 'known'] as const);
        for (const kind of order) times[kind].push(await ask(`${kind}-${Math.floor(n / TRIES)}`));
      }
      verdicts.push(compare(what, times.known, times.nobody));
      known.push(times.known);
    }
    // A measure that finds nothing would find nothing here either.
    const [logins = [], others = []] = known;
    if (compare('to compare: the one call and the other', logins, others)) throw new Error('The measure tells nothing apart');
    if (verdicts.includes(false)) process.exitCode = 1;
  } finally {
    await server.end('SIGINT');
    rmSync(dataDir, { recursive: true, force: true });
  }
}

void main();
