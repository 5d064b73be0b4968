/*
 * Opens shells that print something and end at once, again and again, and counts the bytes that do not arrive: to a client that reads,
 * and to one that reads nothing until the shell has ended (or a second long, where the shell waits for it), some of them for longer
 * than the server waits.
 *
 *   npm run show:last-words [-- --short] [-- --runs=1000]
 */
import { isRecord, type TerminalClient } from '@devpocket/client';
import { createHash } from 'node:crypto';
import { type Socket as TcpSocket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { TerminalWorld } from './terminal-world';

const { values } = parseArgs({ options: { short: { type: 'boolean' }, runs: { type: 'string' } } });
const RUNS = Number(values.runs ?? (values.short ? 60 : 1_000));
/** Shells at a time. */
const LANES = 4;
/** Where others lose: a read of the PTY and what it holds besides. Up to more than a window, too. */
const KIB = [1, 4, 7, 8, 12, 16, 20, 64, 300];

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
/** What `seq` prints, on a terminal. */
const numbers = (bytes: number): Buffer => {
  const lines: string[] = [];
  for (let n = 1, length = 0; length < bytes; n += 1) {
    lines.push(`${n}\r\n`);
    length += lines.at(-1)?.length ?? 0;
  }
  return Buffer.from(lines.join(''));
};
const DUE = KIB.map((kib) => numbers(kib * 1024));

/** After 5 s a client counts as stalled, and what there is is sent to it however little it takes. */
const LONG_STALL_MS = 6_000;
const STALL_MS = 1_000;

interface Run {
  readonly protocol: 'json' | 'binary';
  /** Its TCP socket is not read from before the shell has ended; long: and some time after that. */
  readonly stalled: 'long' | 'short' | null;
  readonly due: Buffer;
}

async function lastWords(world: TerminalWorld, { protocol, stalled, due }: Run): Promise<number> {
  const pieces: Uint8Array[] = [];
  let tcp: TcpSocket | null = null;
  let terminal!: TerminalClient;
  let begun: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => (begun = resolve));
  const ended = new Promise<string | null>((resolve) => {
    terminal = world.terminal({
      protocol,
      openSocket: (url, protocols) => {
        const socket = new WebSocket(url, protocols);
        socket.on('upgrade', (response) => (tcp = response.socket));
        return socket as never;
      },
      onBytes: (bytes) => {
        pieces.push(bytes.slice());
        if (Buffer.concat(pieces).includes('ready\r\n')) begun();
      },
      onEnd: ({ exit, code }) => resolve(exit?.reason === 'exited' ? null : `closed ${code}`),
    });
    terminal.connect();
  });
  terminal.input("PS1= PS2=; bind 'set enable-bracketed-paste off'; stty -echo; echo rea''dy\n");
  await ready;
  if (stalled) (tcp as TcpSocket | null)?.pause();
  const heard = pieces.length;
  terminal.input(`exec seq ${due.toString().split('\r\n').length - 1}\n`);
  if (stalled) {
    await Promise.race([hasEnded(world, terminal.session ?? ''), delay(STALL_MS)]);
    if (stalled === 'long') await delay(LONG_STALL_MS);
    if (pieces.length > heard) throw new Error('It was not stalled');
    (tcp as TcpSocket | null)?.resume();
  }
  const failure = await ended;
  await world.remove(terminal.session ?? '');
  if (failure !== null) throw new Error(failure);
  const got = Buffer.concat(pieces);
  const printed = got.subarray(got.indexOf('ready\r\n') + 'ready\r\n'.length);
  if (sha256(printed) === sha256(due)) return 0;
  return Math.max(1, due.length - printed.length);
}

async function hasEnded(world: TerminalWorld, sessionId: string): Promise<void> {
  for (const until = performance.now() + STALL_MS; performance.now() < until;) {
    const told = await world.client.request('GET', `/environments/${world.environmentId}/terminals`);
    const sessions: readonly unknown[] = Array.isArray(told) ? told : [];
    if (sessions.some((one) => isRecord(one) && one.session_id === sessionId && one.exit !== null)) return;
    await delay(20);
  }
}

async function main(): Promise<void> {
  const world = await TerminalWorld.start();
  const began = performance.now();
  try {
    const lost = { reading: 0, stalled: 0 };
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < RUNS) {
        const run = next;
        next += 1;
        const stalled = run % 2 === 0 ? null : run % 40 === 39 ? 'long' : 'short';
        const protocol = run % 4 < 2 ? 'binary' : 'json';
        const due = DUE[Math.floor(run / 4) % DUE.length] ?? Buffer.alloc(0);
        const missing = await lastWords(world, { protocol, stalled, due });
        lost[stalled ? 'stalled' : 'reading'] += missing;
        if (missing > 0)
          process.stdout.write(`LOST ${missing} of ${due.length} bytes, ${protocol}${stalled ? ', stalled' : ''}\n`);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    process.stdout.write(
      `${RUNS} shells that print ${KIB.join(', ')} KiB and end: ${lost.reading} bytes lost to a client that reads, ` +
        `${lost.stalled} to one that stalls until the end (${Math.round((performance.now() - began) / 1000)} s)\n`,
    );
    if (lost.reading + lost.stalled > 0) process.exitCode = 1;
  } finally {
    await world.end();
  }
}

void main();
