/*
 * Fuzzes a running server from its own OpenAPI document: good, nearly good and hostile values for every parameter, body and header,
 * by several callers. It answers nothing that the document does not say, fails never (503 aside, where documented), leaves no
 * rejection unhandled, and its memory stays flat.
 *
 *   npm run fuzz:api [-- --short] [-- --requests 20000] [-- --seed 1]
 */
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AnswerCheck } from '../../apps/api/testing/answer-check';
import { isObject, type Json } from '../../apps/api/src/documents/json-schema';
import { freePort, ServerProcess } from '../show/server-process';
import { Callers } from './callers';
import { Watch } from './watch';
import { type Call, callsOf } from './requests';
import { Sender } from './sender';

const { values } = parseArgs({ options: { short: { type: 'boolean' }, requests: { type: 'string' }, seed: { type: 'string' } } });
const REQUESTS = Number(values.requests ?? (values.short ? 4_000 : 24_000));
const SEED = Number(values.seed ?? Date.now() % 1_000_000);
/** Calls at once, as long as nothing is wrong; a fault is then looked for one by one, to tell it small. */
const AT_ONCE = 16;
const RUNS_A_ROUND = 12;
/** The short form ends by then, however slow the machine. */
const MOST_MS = values.short ? 60_000 : Infinity;
const MOST_FAULTS = 20;
/** Of the requests, after which memory is measured the first time: caches and pools are full by then. */
const WARM_UP = 0.3;
/**
 * Garbage collected, so many bytes a request may stay: what it has written is in the embedded database, whose documents are in
 * this same process.
 */
const HEAP_BYTES_A_REQUEST = 4_096;
const RSS_BYTES = 96 * 2 ** 20;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-fuzz-'));
  const rootPassword = `Aa1-${randomBytes(12).toString('hex')}`;
  const watch = new Watch();
  const env = {
    DATA_DIR: folder,
    ROOT_PASSWORD: rootPassword,
    RATE_LIMIT_ENABLED: 'false',
    BCRYPT_ROUNDS: '4',
    ENVIRONMENT: 'test',
    ...(process.env.MONGODB_URL ? { MONGODB_URL: process.env.MONGODB_URL, DATABASE_NAME: `fuzz_${process.pid}` } : {}),
  };
  const server = new ServerProcess(await freePort(), env, (text) => watch.hear(text), 'dist/scripts/fuzz/server.js');
  try {
    await server.start();
    const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as Json;
    const callers = new Callers(server.url, rootPassword);
    const sender = new Sender(server.url, callers, new AnswerCheck(document), await callers.rootId);
    process.stdout.write(`seed ${SEED}, ${REQUESTS} requests\n`);
    const begun = performance.now();
    const faults = new Map<string, string>();
    let early: Measured | null = null;
    const calls = callsOf(document);
    const goesOn = (): boolean => sender.sent < REQUESTS && faults.size < MOST_FAULTS && performance.now() - begun < MOST_MS;
    for (let round = 0; goesOn(); round += 1) {
      await playRound(calls, sender, SEED + round, faults);
      if (early === null && sender.sent >= REQUESTS * WARM_UP) early = { ...(await watch.memory(server.pid)), sent: sender.sent };
      if (round % 20 === 0) process.stdout.write(`${sender.sent} sent, ${faults.size} faults\n`);
    }
    const late = { ...(await watch.memory(server.pid)), sent: sender.sent };
    report(document, sender);
    const seconds = (performance.now() - begun) / 1000;
    process.stdout.write(`${sender.sent} requests in ${seconds.toFixed(0)} s (${(sender.sent / seconds).toFixed(0)} a second)\n`);
    judgeMemory(early ?? late, late, faults);
    for (const line of watch.complaints) faults.set(line.slice(0, 80), `log: ${line.slice(0, 2_000)}`);
    for (const fault of faults.values()) process.stdout.write(`FAULT ${fault}\n`);
    process.stdout.write(faults.size === 0 ? 'nothing is wrong\n' : `${faults.size} faults; again with --seed ${SEED}\n`);
    if (faults.size > 0) process.exitCode = 1;
  } finally {
    await server.end('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function playRound(calls: fc.Arbitrary<Call>, sender: Sender, seed: number, faults: Map<string, string>): Promise<void> {
  const batch = fc.array(calls, { minLength: AT_ONCE, maxLength: AT_ONCE });
  const rule = fc.asyncProperty(batch, async (several) => {
    const found = (await Promise.all(several.map((call) => sender.send(call)))).flat();
    // The same fault again is no news.
    const news = found.filter((fault) => !faults.has(kindOf(fault)));
    if (news.length > 0) throw new Error(news[0]);
  });
  // Shrinking goes on while it finds something simpler, but not for long: what is looked for may need what was there before.
  const details = await fc.check(rule, { seed, numRuns: RUNS_A_ROUND, endOnFailure: true });
  if (!details.failed) return;
  const fault = details.errorInstance instanceof Error ? details.errorInstance.message : String(details.errorInstance);
  const culprit = details.counterexample?.[0].find(
    (call) => fault.startsWith(call.method) && fault.includes(call.path.split('{')[0] ?? ''),
  );
  faults.set(
    kindOf(fault),
    `${fault.slice(0, 1_500)}\n  by ${culprit?.caller ?? '?'}: ${JSON.stringify(culprit ?? null).slice(0, 1_500)}`,
  );
  process.stdout.write(`FAULT ${faults.get(kindOf(fault)) ?? ''}\n`);
}

/** Two faults that differ in their values only are one. */
function kindOf(fault: string): string {
  return fault
    .replace(/ in [{["].*$/s, '')
    .replace(/\?\S*/, '')
    .replace(/[0-9a-f]{24}|%[0-9A-F]{2}|\d{5,}/g, '…')
    .slice(0, 160);
}

/** Each operation should have succeeded now and then: what only fails is not tested. */
function report(document: Json, { seen }: Sender): void {
  const operations = Object.values(document.paths as Json)
    .flatMap((item) => Object.values(item as Json))
    .filter(isObject)
    .map(({ operationId }) => String(operationId));
  const lines = operations.map((id) => {
    const counts = [...seen]
      .filter(([key]) => key.startsWith(`${id} `))
      .map(([key, count]) => `${key.slice(id.length + 1)}×${count}`);
    return { id, ok: counts.some((count) => count.startsWith('2') || count.startsWith('3')), counts: counts.sort().join(' ') };
  });
  for (const { id, ok, counts } of lines) process.stdout.write(`${ok ? ' ' : '-'} ${id.padEnd(26)} ${counts}\n`);
  process.stdout.write(`${lines.filter(({ ok }) => ok).length} of ${lines.length} operations succeeded now and then\n`);
}

type Measured = Awaited<ReturnType<Watch['memory']>> & { readonly sent?: number };

function judgeMemory(early: Measured, late: Measured, faults: Map<string, string>): void {
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const requests = (late.sent ?? 0) - (early.sent ?? 0);
  const heap = late.heap - early.heap;
  const rss = late.rss - early.rss;
  process.stdout.write(
    `memory over the last ${requests} requests: heap ${mib(early.heap)} → ${mib(late.heap)}, RSS ${mib(early.rss)} → ${mib(late.rss)}\n`,
  );
  const most = requests * HEAP_BYTES_A_REQUEST;
  if (heap > most) faults.set('heap', `the heap has grown by ${mib(heap)}, more than ${mib(most)}`);
  if (rss > RSS_BYTES + most) faults.set('rss', `RSS has grown by ${mib(rss)}, more than ${mib(RSS_BYTES + most)}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
