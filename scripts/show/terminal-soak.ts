/*
 * Many shells for long: typing, flooding, cut in the middle of anything and resumed, each in one of both subprotocols. Every byte is
 * compared with what its shell must have printed. In the end the memory of the server and of the PTY host is what it was after
 * minute 3, give or take 5 %, and when the shells are closed so are their descriptors.
 *
 *   npm run show:terminal-soak [-- --short] [-- --minutes=15] [-- --sessions=200]
 */
import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BadNetwork } from '../../apps/api/testing/bad-network';
import { FILL, SoakSession } from './soak-session';
import { TerminalWorld, useOf } from './terminal-world';

const { values } = parseArgs({
  options: { short: { type: 'boolean' }, minutes: { type: 'string' }, sessions: { type: 'string' } },
});
const MINUTE_MS = 60_000;
const SESSIONS = Number(values.sessions ?? (values.short ? 40 : 200));
/** So many processes an environment may have. */
const A_ENVIRONMENT = 40;
const FOR_MS = Number(values.minutes ?? (values.short ? 0.5 : 15)) * MINUTE_MS;
/** From when on memory must not grow, and by how much it may be off. A short run has not come to rest. */
const BASE_AT_MS = values.short ? FOR_MS / 2 : 3 * MINUTE_MS;
const GROWTH = values.short ? 0.5 : 0.05;
const SAMPLE_MS = values.short ? 1_000 : 5_000;
/** The median of so many samples is what is compared: collections come when they come. */
const SAMPLES = 6;
const REPORT_MS = values.short ? 10_000 : MINUTE_MS;
const PATIENCE_MS = 60_000;
const FILL_MS = 180_000;
/** Each connection is cut after some hundred kilobytes, and once in some half a minute whatever it carries. */
const BYTES_BETWEEN_CUTS = 1_000_000;
const CUT_EVERY_MS = 1_000;
const CUT_SHARE = values.short ? 0.1 : 0.03;
/** Of ten sessions so many print much, the others are typed into. */
const FLOODING = 2;
/** Timers and sockets of its own that may come and go. */
const SPARE_DESCRIPTORS = 5;
const TOKEN = 'soak-metrics-token';

const faults: string[] = [];
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
const mib = (kib: number): string => `${(kib / 1024).toFixed(1)} MiB`;

interface Sample {
  readonly atMs: number;
  readonly server: ReturnType<typeof useOf>;
  readonly host: ReturnType<typeof useOf>;
  readonly handles: number;
}

class Soak {
  private readonly began = performance.now();
  readonly samples: Sample[] = [];

  constructor(
    private readonly world: TerminalWorld,
    private readonly network: BadNetwork,
    readonly sessions: readonly SoakSession[],
  ) {}

  private get past(): number {
    return performance.now() - this.began;
  }

  async run(): Promise<void> {
    // Each prints more than is kept of it: what is kept does not grow any more.
    await Promise.all(
      this.sessions.map(async (session) => {
        session.flood(...FILL);
        await session.settled(FILL_MS);
      }),
    );
    process.stdout.write(`${this.sessions.length} shells have printed 1.4 MiB each after ${(this.past / 1000).toFixed(1)} s\n`);
    await Promise.all([
      this.watch(),
      this.cut(),
      ...this.sessions.map((session, index) => this.live(session, index % 10 < FLOODING)),
    ]);
  }

  private async live(session: SoakSession, floods: boolean): Promise<void> {
    while (this.past < FOR_MS) {
      if (floods) session.floodSome();
      else for (let lines = 1 + Math.random() * 3; lines > 0; lines -= 1) session.type();
      if (Math.random() < 0.02) session.drop();
      await session.settled(PATIENCE_MS);
      await delay((floods ? 4_000 : 500) * (0.5 + Math.random()));
    }
  }

  private async cut(): Promise<void> {
    for (; this.past < FOR_MS; await delay(CUT_EVERY_MS)) this.network.cutSome(CUT_SHARE);
  }

  private async watch(): Promise<void> {
    let reported = 0;
    while (this.past < FOR_MS) {
      await delay(SAMPLE_MS);
      const sample = await sampleOf(this.world, this.past);
      this.samples.push(sample);
      if (this.past - reported < REPORT_MS) continue;
      reported = this.past;
      const { server, host, handles } = sample;
      const sum = (of: (session: SoakSession) => number): number => this.sessions.reduce((total, one) => total + of(one), 0);
      process.stdout.write(
        `${(this.past / MINUTE_MS).toFixed(1)} min: server ${mib(server.rssKib)}, ${server.descriptors} descriptors, ${handles} handles; ` +
          `host ${mib(host.rssKib)}, ${host.descriptors} descriptors; ${sum(({ connections }) => connections) - this.sessions.length} resumed, ` +
          `${mib(sum(({ bytes }) => bytes) / 1024)} compared\n`,
      );
    }
  }
}

async function sampleOf(world: TerminalWorld, atMs: number): Promise<Sample> {
  const answer = await fetch(`${world.server.url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const handles = Number(/^nodejs_active_handles_total (\d+)/m.exec(await answer.text())?.[1] ?? NaN);
  return { atMs, server: useOf(world.serverPid), host: useOf(world.hostPid), handles };
}

/** Asks over a connection of its own. */
async function look(world: TerminalWorld): Promise<void> {
  const authorization = `Bearer ${await world.client.accessToken()}`;
  await new Promise<void>((resolve, reject) => {
    const url = `${world.server.url}/api/v1/environments/${world.environmentId}`;
    get(url, { agent: false, headers: { authorization } }, (answer) => answer.resume().on('end', () => resolve())).on(
      'error',
      reject,
    );
  });
}

/** When connections that are kept alive for a while are gone. */
async function atRest(world: TerminalWorld): Promise<Sample> {
  let last = await sampleOf(world, 0);
  for (let same = 0; same < 12; same += 1) {
    await delay(500);
    const now = await sampleOf(world, 0);
    if (now.server.descriptors !== last.server.descriptors) same = 0;
    last = now;
  }
  return last;
}

function judgeMemory(samples: readonly Sample[]): void {
  const from = samples.findIndex(({ atMs }) => atMs >= BASE_AT_MS);
  for (const name of ['server', 'host'] as const) {
    const rss = (some: readonly Sample[]): number => median(some.map((sample) => sample[name].rssKib));
    const [base, end] = [rss(samples.slice(from, from + SAMPLES)), rss(samples.slice(-SAMPLES))];
    const growth = end / base - 1;
    const text = `${name}: ${mib(base)} ${values.short ? 'half way' : 'after minute 3'}, ${mib(end)} at the end: ${(growth * 100).toFixed(1)} %`;
    process.stdout.write(`${text}\n`);
    if (!(growth <= GROWTH)) faults.push(text);
  }
}

/** What was opened for the shells is closed with them. */
async function judgeDescriptors(world: TerminalWorld, before: Sample): Promise<void> {
  let after = await sampleOf(world, 0);
  const left = (): readonly number[] => [
    after.server.descriptors - before.server.descriptors,
    after.host.descriptors - before.host.descriptors,
    after.handles - before.handles,
  ];
  for (const until = performance.now() + 20_000; performance.now() < until; await delay(200)) {
    if (left().every((count) => count <= SPARE_DESCRIPTORS)) break;
    after = await sampleOf(world, 0);
  }
  const text = `closed: server ${before.server.descriptors} → ${after.server.descriptors} descriptors, ${before.handles} → ${after.handles} handles, host ${before.host.descriptors} → ${after.host.descriptors} descriptors`;
  process.stdout.write(`${text}\n`);
  if (!left().every((count) => count <= SPARE_DESCRIPTORS)) faults.push(text);
}

async function main(): Promise<void> {
  const world = await TerminalWorld.start({ METRICS_TOKEN: TOKEN }, Math.ceil(SESSIONS / A_ENVIRONMENT));
  const network = new BadNetwork(world.server.port, { bytesBetweenCuts: BYTES_BETWEEN_CUTS, cuts: Infinity });
  const sessions: SoakSession[] = [];
  try {
    const url = await network.open();
    // As many connections to its database as many calls at once make it open, which stay.
    await Promise.all(Array.from({ length: 2 * SESSIONS }, () => look(world)));
    const before = await atRest(world);
    for (let n = 0; n < SESSIONS; n += 1) {
      const environmentId = world.environmentIds[Math.floor(n / A_ENVIRONMENT)] ?? '';
      sessions.push(new SoakSession(world, { name: n, environmentId, protocol: n % 2 === 0 ? 'binary' : 'json', url }));
    }
    const soak = new Soak(world, network, sessions);
    await soak.run().catch((error: unknown) => faults.push(error instanceof Error ? error.message : String(error)));
    for (const { fault } of sessions) if (fault !== null && !faults.includes(fault)) faults.push(fault);
    judgeMemory(soak.samples);
    for (const session of sessions) session.leave();
    process.stdout.write(
      `${(await world.removeAll()) - sessions.length} shells whose welcome a cut took, which nobody came back to\n`,
    );
    await judgeDescriptors(world, before);
    process.stdout.write(`${network.cuts} cuts, ${sessions.length} shells\n`);
  } finally {
    for (const session of sessions) session.leave();
    network.close();
    await world.end();
  }
  for (const text of faults) process.stdout.write(`FAULT ${text}\n`);
  process.stdout.write(faults.length === 0 ? 'Every byte of every shell came once, in order.\n' : `${faults.length} faults\n`);
  if (faults.length > 0) process.exitCode = 1;
}

void main();
