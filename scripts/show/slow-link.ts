/*
 * A client behind 64 kbit/s, 600 ms of round trip and 3 % of loss, alone and beside one on a fast way: its Ctrl-C in a flood acts within
 * 2 s and the screen that it asks for comes within 10 s, the fast one keeps more than 90 % of what it has alone, the server's memory stays
 * what it is, and neither loses a byte that no `gap` tells of. Needs root, iproute2 and iptables.
 *
 *   npm run show:slow-link [-- --short]
 */
import { type TerminalClient, type TerminalScreenView } from '@devpocket/client';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SlowNetwork } from './slow-network';
import { TerminalWorld, useOf } from './terminal-world';

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
const KILOBITS = 64;
const ROUND_TRIP_MS = 600;
const LOSS_PERCENT = 3;
const CTRL_C_ROUNDS = values.short ? 3 : 9;
const FLOOD_MS = values.short ? 4_000 : 10_000;
/** Alone and beside the slow one, in turns. */
const SHARE_ROUNDS = values.short ? 3 : 5;
const SHARE_MS = values.short ? 1_500 : 5_000;
const ACTS_MS = 2_000;
/** How long its screen is waited for. */
const PAINTED_MS = 10_000;
const SHARE = 0.9;
/** What is kept, and 1 MiB. */
const MEMORY_KIB = 2_048;
const RELAY_PORT = 7_000;
const PROMPT = 'prompt>';
const FLOOD = 'yes 0123456789abcdef0123456789abcdef0123456789abcde\n';
/** What the flood prints, over and over: 49 bytes on a terminal. */
const LINE = Buffer.from('0123456789abcdef0123456789abcdef0123456789abcde\r\n');
const TAIL = 256;

const faults: string[] = [];
function judge(good: boolean, text: string): void {
  process.stdout.write(`${good ? '' : 'FAULT '}${text}\n`);
  if (!good) faults.push(text);
}

/** How fast it is: a few rounds, of a link that loses packets by chance, show it and prove nothing. */
function judgePace(good: boolean, text: string): void {
  if (values.short) process.stdout.write(`${good ? '' : 'SLOW '}${text}\n`);
  else judge(good, text);
}

/** A client that counts what it gets and looks whether it is what the shell printed there. */
class Viewer {
  readonly terminal: TerminalClient;
  received = 0;
  missing = 0;
  /** Bytes of the flood that stand where they should not. */
  wrong = 0;
  from: number | null = null;
  /** Where a line of the flood begins, as a position in the session's output: the same for all its viewers. */
  phase: number | null = null;
  private tail = '';
  private expected: { readonly text: string; readonly resolve: () => void } | null = null;

  constructor(world: TerminalWorld, url: string, sessionId?: string, after?: number) {
    this.terminal = world.terminal(
      {
        protocol: 'binary',
        ...(sessionId === undefined ? {} : { sessionId }),
        ...(after === undefined ? {} : { after }),
        onConnected: ({ seq }) => (this.from ??= after ?? Number(seq)),
        onBytes: (bytes, seq) => this.take(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), seq),
        onGap: (bytes) => (this.missing += bytes),
        onScreen: ({ seq, data }: TerminalScreenView) => {
          this.missing = seq - (this.from ?? 0) - this.received;
          this.hear(data);
        },
        onError: (code, message) => judge(false, `${code}: ${message}`),
        onEnd: ({ code, error, exit }) => {
          if (exit === null && code !== 1000) faults.push(`closed ${code} ${error ?? ''}`);
        },
      },
      url,
    );
    this.terminal.connect();
  }

  /** @returns milliseconds until the text was seen */
  async sees(text: string, act: () => void, patienceMs = 60_000): Promise<number> {
    const begun = performance.now();
    this.tail = '';
    const seen = new Promise<void>((resolve) => (this.expected = { text, resolve }));
    act();
    await Promise.race([seen, delay(patienceMs, undefined, { ref: false })]);
    this.expected = null;
    return performance.now() - begun;
  }

  type(text: string): void {
    this.terminal.input(text);
  }

  /** Whether its cursor accounts for every byte since it came. */
  get complete(): boolean {
    return this.terminal.position - (this.from ?? 0) === this.received + this.missing;
  }

  private take(bytes: Buffer, seq: number): void {
    this.received += bytes.length;
    if (this.phase !== null) this.compare(bytes, seq - bytes.length);
    this.hear(bytes.toString('latin1', Math.max(0, bytes.length - TAIL)));
  }

  private compare(bytes: Buffer, at: number): void {
    for (let index = 0; index < bytes.length; index += 1) {
      if (bytes[index] !== LINE[(at + index - (this.phase ?? 0)) % LINE.length]) this.wrong += 1;
    }
  }

  private hear(text: string): void {
    const heard = this.tail + text;
    if (this.expected && heard.includes(this.expected.text)) this.expected.resolve();
    this.tail = heard.slice(-TAIL);
  }
}

/** A prompt of its own, and nothing echoed. */
async function prepare(viewer: Viewer): Promise<void> {
  await viewer.sees(PROMPT, () => viewer.type(`bind 'set enable-bracketed-paste off'; stty -echo; PS1='pro''mpt>'\n`));
}

async function alone(world: TerminalWorld, url: string): Promise<void> {
  const slow = new Viewer(world, url);
  await prepare(slow);
  const times: number[] = [];
  for (let round = 0; round < CTRL_C_ROUNDS; round += 1) {
    slow.type(FLOOD);
    await delay(FLOOD_MS);
    times.push(await slow.sees(PROMPT, () => slow.type('\x03')));
  }
  const text = times.map((time) => (time / 1000).toFixed(2)).join(', ');
  const middle = [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
  // A packet that is lost on the way costs a retransmission, now and then two.
  judgePace(
    middle <= ACTS_MS && Math.max(...times) <= 2 * ACTS_MS,
    `alone on the slow link: from Ctrl-C in a flood to the prompt ${text} s`,
  );
  judge(slow.complete && slow.missing === 0, `${slow.received} bytes came, ${slow.missing} are missing`);
  await leave(world, slow);
}

async function beside(world: TerminalWorld, url: string): Promise<void> {
  const fast = new Viewer(world, world.server.url);
  await prepare(fast);
  const session = fast.terminal.session ?? '';
  const begins = fast.terminal.position;
  fast.type(FLOOD);
  await delay(1_000);
  const rates = { solo: [] as number[], shared: [] as number[] };
  const memory = { solo: [] as number[], shared: [] as number[] };
  const measure = async (kind: 'solo' | 'shared'): Promise<void> => {
    const [bytes, began] = [fast.received, performance.now()];
    await delay(SHARE_MS);
    rates[kind].push((fast.received - bytes) / (performance.now() - began));
    memory[kind].push(useOf(world.serverPid).rssKib);
  };
  let slow!: Viewer;
  const came: Viewer[] = [];
  for (let round = 0; round < SHARE_ROUNDS; round += 1) {
    await measure('solo');
    slow = new Viewer(world, url, session, fast.terminal.position);
    slow.phase = begins;
    came.push(slow);
    while (slow.received === 0) await delay(20);
    await measure('shared');
    if (round < SHARE_ROUNDS - 1) slow.terminal.close();
  }
  const best = { solo: Math.max(...rates.solo), shared: Math.max(...rates.shared) };
  const kept = best.shared / best.solo;
  const mebi = (rate: number): string => ((rate * 1_000) / 1_048_576).toFixed(1);
  judgePace(
    kept > SHARE,
    `fast one: ${mebi(best.solo)} MiB/s alone, ${mebi(best.shared)} beside the slow one: ${(kept * 100).toFixed(0)} %`,
  );
  const grown = Math.min(...memory.shared) - Math.min(...memory.solo);
  judge(grown <= MEMORY_KIB, `the server's memory beside the slow one: ${grown > 0 ? '+' : ''}${grown} KiB`);

  slow.phase = null;
  let painted = 0;
  const stopped = await fast.sees(PROMPT, () => {
    slow.type('\x03');
    // What it has missed is not worth waiting for: the screen as it stands then.
    void slow.sees(PROMPT, () => undefined, PAINTED_MS).then((took) => (painted = took));
  });
  slow.terminal.paint();
  while (painted === 0) await delay(10);
  judgePace(
    stopped <= ACTS_MS,
    `beside the fast one: the slow one's Ctrl-C stops the flood after ${(stopped / 1000).toFixed(2)} s`,
  );
  const seen = painted < PAINTED_MS ? `after ${(painted / 1000).toFixed(2)} s` : `not within ${PAINTED_MS / 1000} s`;
  judge(painted < PAINTED_MS, `the slow one sees the prompt, painted: ${seen}`);
  const next = await slow.sees(PROMPT, () => slow.type('\n'), PAINTED_MS);
  judge(next < PAINTED_MS, `behind it output goes on: the next prompt after ${(next / 1000).toFixed(2)} s`);
  judge(fast.complete && fast.missing === 0, `fast one: ${fast.received} bytes came, ${fast.missing} are missing`);
  const sum = (of: (viewer: Viewer) => number): number => came.reduce((total, viewer) => total + of(viewer), 0);
  judge(
    came.every(({ complete }) => complete) && sum(({ wrong }) => wrong) === 0,
    `slow one: ${sum(({ received }) => received)} bytes came, ${sum(({ missing }) => missing)} were skipped and told of, ` +
      `${sum(({ wrong }) => wrong)} stand in a wrong place`,
  );
  slow.terminal.close();
  await leave(world, fast);
}

async function leave(world: TerminalWorld, viewer: Viewer): Promise<void> {
  viewer.terminal.close();
  await world.remove(viewer.terminal.session ?? '');
}

/** The far host passes on what comes to it by the fast way, over the slow link, to the server. */
async function relayTo(network: SlowNetwork, port: number): Promise<ChildProcess> {
  const [command = '', ...words] = network.prefix;
  const program = join(process.cwd(), 'dist/scripts/show/delaying-relay.js');
  const args = [RELAY_PORT, network.slow.near, port, ROUND_TRIP_MS / 2].map(String);
  const child = spawn(command, [...words, process.execPath, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('The relay did not start')));
  });
  return child;
}

async function main(): Promise<void> {
  const network = await SlowNetwork.open({ kilobitsPerSecond: KILOBITS, lossPercent: LOSS_PERCENT });
  let relay: ChildProcess | null = null;
  let world: TerminalWorld | null = null;
  try {
    world = await TerminalWorld.start({ HOST: '0.0.0.0' });
    relay = await relayTo(network, world.server.port);
    const url = `http://${network.fast.far}:${RELAY_PORT}`;
    process.stdout.write(`${KILOBITS} kbit/s, ${ROUND_TRIP_MS} ms, ${LOSS_PERCENT} % loss\n`);
    await alone(world, url);
    await beside(world, url);
  } finally {
    relay?.kill();
    network.close();
    await world?.end();
  }
  if (faults.length > 0) process.exitCode = 1;
}

void main();
