/*
 * What a terminal costs and how fast it is, against ttyd (named by TTYD_BIN) and against a pump, the least that copies a PTY to a
 * socket, in turns in the same run. Prints medians, ratios and what must be.
 *
 *   npm run bench:terminal [-- --short] [--rounds N] [--only WORD]
 *
 * It fails for what is lost, never for what is slow: how fast a machine is that has other work is nobody's fault.
 */
import { isRecord } from '@devpocket/client';
import { parseArgs } from 'node:util';
import { median } from './load';
import { bulk, crowd, echoes, echoesBesideFlood, idleCpu, interrupt, lastWords, p, paste, prepared } from './terminal-measures';
import { type Bulk, stall, unreadPaste } from './terminal-measures';
import { anonymousOf, DevPocket, type Peer, startPump, startTtyd } from './terminal-peers';
import { type RawTerminal } from './raw-terminal';

const { values } = parseArgs({
  options: { short: { type: 'boolean' }, rounds: { type: 'string' }, only: { type: 'string' } },
});
const SHORT = values.short ?? false;
const ROUNDS = Number(values.rounds ?? (SHORT ? 2 : 5));
const SLOW_READER = 2 * 1_048_576;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const wanted = (name: string): boolean => values.only === undefined || name.includes(values.only);

/** One line of the table. @param good null where there is nothing to compare with */
function row(what: string, figures: string, must: string, good: boolean | null): void {
  say(`  ${(good === null ? '–' : good ? 'PASS' : 'SLOW').padEnd(5)}${what.padEnd(34)}${figures.padEnd(64)}${must}`);
}

function wrong(what: string): void {
  say(`  WRONG ${what}`);
  process.exitCode = 1;
}

interface Peers {
  readonly ours: DevPocket;
  readonly json: Peer;
  readonly binary: Peer;
  readonly ttyd: Peer | null;
  readonly pump: Peer;
}

const known = (peers: Peers): readonly Peer[] =>
  [peers.binary, peers.json, peers.ttyd].filter((peer): peer is Peer => peer !== null);

/** The same of each, in turns. */
async function rounds<T>(peers: readonly Peer[], measure: (peer: Peer) => Promise<T>, count = ROUNDS): Promise<Map<string, T[]>> {
  const all = new Map<string, T[]>(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < count; round += 1) for (const peer of peers) all.get(peer.name)?.push(await measure(peer));
  return all;
}

function terminalOf(open: ReadonlyMap<string, RawTerminal>, { name }: Peer): RawTerminal {
  const terminal = open.get(name);
  if (!terminal) throw new Error(`No terminal of ${name}`);
  return terminal;
}

async function throughput(peers: Peers): Promise<void> {
  const all = [...known(peers), peers.pump];
  const open = new Map<string, RawTerminal>();
  for (const peer of all) open.set(peer.name, await prepared(peer));
  const size = SHORT ? 16 : 48;
  const measure = (peer: Peer): Promise<Bulk> => bulk(terminalOf(open, peer), peer, size);
  await rounds(all, measure, 1);
  const results = await rounds(all, measure);
  for (const terminal of open.values()) terminal.close();
  const of = (name: string, pick: (result: Bulk) => number): number => median((results.get(name) ?? []).map(pick));
  for (const peer of all)
    row(
      `bulk ${peer.name}`,
      `${of(peer.name, ({ mibPerSecond }) => mibPerSecond).toFixed(1)} MiB/s, ${of(peer.name, ({ cpuPerMib }) => cpuPerMib).toFixed(2)} ms CPU a MiB`,
      '',
      null,
    );
  if (!peers.ttyd) return;
  for (const [name, speed, cpu] of [
    ['binary', 1.15, 0.7],
    ['json', 1, 0.95],
  ] as const) {
    const faster = of(name, ({ mibPerSecond }) => mibPerSecond) / of('ttyd', ({ mibPerSecond }) => mibPerSecond);
    row(`bulk ${name} to ttyd`, `${faster.toFixed(2)} ×`, `≥ ${speed} ×`, faster >= speed);
    const dearer = of(name, ({ cpuPerMib }) => cpuPerMib) / of('ttyd', ({ cpuPerMib }) => cpuPerMib);
    row(`CPU ${name} to ttyd`, `${dearer.toFixed(2)} ×`, `≤ ${cpu} ×`, dearer <= cpu);
  }
}

async function latency(peers: Peers): Promise<void> {
  const count = SHORT ? 50 : 300;
  const all = known(peers);
  const open = new Map<string, RawTerminal>();
  for (const peer of all) open.set(peer.name, await prepared(peer));
  const measure = (peer: Peer): Promise<readonly number[]> => echoes(terminalOf(open, peer), count);
  await rounds(all, measure, 1);
  const idle = await rounds(all, measure);
  for (const terminal of open.values()) terminal.close();
  compareEchoes('echo idle', all, idle, { p50: 1.6, p99: 2.5 });
  const beside = await rounds(all, (peer) => echoesBesideFlood(peer, count));
  compareEchoes('echo beside a flood', all, beside, { p50: 1.4, p99ms: 10 });
}

function compareEchoes(
  what: string,
  peers: readonly Peer[],
  results: ReadonlyMap<string, (readonly number[])[]>,
  must: { readonly p50: number; readonly p99?: number; readonly p99ms?: number },
): void {
  const of = (name: string, share: number): number => median((results.get(name) ?? []).map((sorted) => p(sorted, share)));
  for (const { name } of peers) {
    const [p50, p99] = [of(name, 0.5), of(name, 0.99)];
    const figures = `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
    if (name === 'ttyd' || !results.has('ttyd')) {
      row(`${what} ${name}`, figures, '', null);
      continue;
    }
    const ratios = [p50 / of('ttyd', 0.5), p99 / of('ttyd', 0.99)] as const;
    const good = ratios[0] <= must.p50 && (must.p99 === undefined ? p99 <= (must.p99ms ?? 0) : ratios[1] <= must.p99);
    const limits = `≤ ${must.p50} × / ≤ ${must.p99 === undefined ? `${must.p99ms ?? 0} ms` : `${must.p99} ×`}`;
    row(`${what} ${name}`, `${figures} (${ratios[0].toFixed(2)} ×, ${ratios[1].toFixed(2)} × ttyd)`, limits, good);
  }
}

async function control(peers: Peers): Promise<void> {
  const took = await rounds(known(peers), (peer) => interrupt(peer, SLOW_READER, SHORT ? 1_500 : 3_000), SHORT ? 1 : ROUNDS);
  for (const [name, times] of took) {
    const ms = median(times);
    row(`Ctrl-C, 2 MiB/s read, ${name}`, `${ms.toFixed(0)} ms`, '≤ 500 ms', name === 'ttyd' ? null : ms <= 500);
  }
}

async function bounds(peers: Peers): Promise<void> {
  for (const peer of [peers.binary, peers.json]) {
    const seconds = SHORT ? 3 : 10;
    const { lost, growth } = await stall(peer, seconds * 1_000);
    row(
      `${seconds} s stall, ${peer.name}`,
      `RSS +${(growth / 1024).toFixed(1)} MB, ${lost} lines lost`,
      '≤ +32 MB',
      growth <= 32_768,
    );
    if (lost !== 0) wrong(`a stalled client lost ${lost} lines`);
  }
  const runs = SHORT ? 30 : 1_000;
  const last = await lastWords(peers.binary, runs);
  row(`output just before exit, ${runs} runs`, `${last.lost} bytes lost`, '0', last.lost === 0 && last.runs === 0);
  if (last.runs > 0) wrong(`${last.runs} shells lost their last words`);
  if (peers.ttyd) {
    const peer = await lastWords(peers.ttyd, 10);
    row('output just before exit, ttyd', `${(peer.lost / 10).toFixed(0)} bytes lost a run`, '', null);
  }
  const percent = await unreadPaste(peers.binary, SHORT ? 2_000 : 5_000);
  row('paste not read', `${percent.toFixed(1)} % CPU`, '≤ 2 %', percent <= 2);
}

async function pastes(peers: Peers): Promise<void> {
  const all = known(peers);
  const open = new Map<string, RawTerminal>();
  for (const peer of all) open.set(peer.name, await prepared(peer));
  const results = await rounds(all, (peer) => paste(terminalOf(open, peer)));
  for (const terminal of open.values()) terminal.close();
  const of = (name: string): number => median((results.get(name) ?? []).map(({ ms }) => ms));
  for (const [name, each] of results) {
    const ratio = of(name) / of('ttyd');
    const good = name === 'ttyd' || !peers.ttyd ? null : ratio <= 2.5;
    row(`paste of 1 MiB ${name}`, `${of(name).toFixed(0)} ms (${ratio.toFixed(2)} × ttyd)`, '≤ 2.5 ×', good);
    if (name !== 'ttyd' && each.some(({ whole }) => !whole)) wrong(`a paste by ${name} did not arrive whole`);
  }
}

async function many(peers: Peers): Promise<void> {
  const { ours, ttyd } = peers;
  const counts = SHORT ? [20, 60] : [50, 200];
  const [few = 0, all = 0] = counts;
  for (const [query, most] of [
    ['', 64],
    ['&deflate=1', 256],
  ] as const) {
    const open = (): Promise<RawTerminal> => ours.open('binary', query);
    const first = await crowd(open, few);
    await idleCpu(ours.pids(), few, 1_000, 1_000);
    const before = anonymousOf(ours.pids());
    const rest = await crowd(open, all - few);
    const cpu = await idleCpu(ours.pids(), all, SHORT ? 1_000 : 15_000, SHORT ? 2_000 : 10_000);
    const each = (anonymousOf(ours.pids()) - before) / (all - few);
    row(`RSS (own) a session${query}, ${few} → ${all}`, `${each.toFixed(0)} KiB`, `≤ ${most} KiB`, each <= most);
    // An environment has room for so many processes, and what is left goes on without its client.
    for (const terminal of [...first.terminals, ...rest.terminals]) terminal.type('exit\n');
    await Promise.all([...first.terminals, ...rest.terminals].map(({ over }) => over));
    if (query !== '') continue;
    row(`idle CPU a session, ${all}`, `${cpu.toFixed(0)} µs/s`, '≤ 150 µs/s', cpu <= 150);
    const ready = [...first.ready, ...rest.ready].sort((a, b) => a - b);
    const peer = ttyd && (await crowd(() => ttyd.open(), all));
    for (const terminal of peer?.terminals ?? []) terminal.close();
    const ratio = peer ? p(ready, 0.99) / p(peer.ready, 0.99) : null;
    row(
      `${all} sessions ready`,
      `p50 ${p(ready, 0.5).toFixed(0)} ms, p99 ${p(ready, 0.99).toFixed(0)} ms${ratio === null ? '' : ` (${ratio.toFixed(2)} × ttyd)`}`,
      '≤ 2 ×',
      ratio === null ? null : ratio <= 2,
    );
  }
}

async function reconnect({ ours }: Peers): Promise<void> {
  const first = await ours.open('binary');
  while (first.control.length === 0 || first.bytes === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const welcome: unknown = JSON.parse((first.control[0] ?? '').slice(1));
  if (!isRecord(welcome)) throw new Error('no welcome');
  const times: number[] = [];
  let last = first;
  for (let round = 0; round < (SHORT ? 10 : 50); round += 1) {
    last.close();
    const begun = performance.now();
    last = await ours.open('binary', `&session_id=${String(welcome.session_id)}&after=0&client_id=bench`);
    while (last.bytes === 0) await new Promise((resolve) => setImmediate(resolve));
    times.push(performance.now() - begun);
  }
  last.close();
  times.sort((a, b) => a - b);
  row('reconnect to the first output', `p50 ${p(times, 0.5).toFixed(1)} ms, p99 ${p(times, 0.99).toFixed(1)} ms`, '', null);
}

const PARTS: readonly (readonly [string, (peers: Peers) => Promise<void>])[] = [
  ['bulk', throughput],
  ['echo', latency],
  ['control', control],
  ['bounds', bounds],
  ['paste', pastes],
  ['many', many],
  ['reconnect', reconnect],
];

async function main(): Promise<void> {
  const { TTYD_BIN } = process.env;
  if (!TTYD_BIN) say('TTYD_BIN names no ttyd: nothing to compare with.');
  const ours = await DevPocket.start();
  const peers: Peers = {
    ours,
    json: ours.as('json'),
    binary: ours.as('binary'),
    ttyd: TTYD_BIN ? await startTtyd(TTYD_BIN) : null,
    pump: await startPump(),
  };
  say(`${ROUNDS} rounds; medians`);
  try {
    for (const [name, part] of PARTS) if (wanted(name)) await part(peers);
  } finally {
    await peers.pump.end();
    await peers.ttyd?.end();
    await ours.end();
  }
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
