import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from './load';
import { type RawTerminal } from './raw-terminal';
import { cpuOf, type Peer, rssOf } from './terminal-peers';

const MEBI = 1_048_576;
const LINE = '\\033[32m2026-01-01 12:00:00\\033[0m INFO  [worker-7] request 8f3a done in 12 ms: 200 OK, 4711 bytes ✓';

/** A shell that is ready: nothing in its prompt, and a file to print. */
export async function prepared(peer: Peer): Promise<RawTerminal> {
  const terminal = await peer.open();
  await terminal.ask(`PS1= PS2=; bind 'set enable-bracketed-paste off'; stty -echo; echo awa""ke\n`, 'awake');
  return terminal;
}

export interface Bulk {
  readonly mibPerSecond: number;
  /** Milliseconds of the server's processes for each MiB. */
  readonly cpuPerMib: number;
}

/** Prints a file of so many MiB, as lines of a log. */
export async function bulk(terminal: RawTerminal, peer: Peer, mebibytes: number): Promise<Bulk> {
  const file = `/tmp/bench-${mebibytes}`;
  await terminal.ask(
    `[ -s ${file} ] || yes "$(printf '${LINE}')" | head -c ${mebibytes * MEBI} > ${file}; echo ma""de\n`,
    'made',
  );
  const before = cpuOf(peer.pids());
  const took = await terminal.ask(`cat ${file}; echo; echo prin""ted\n`, 'printed');
  const cpu = cpuOf(peer.pids()) - before;
  return { mibPerSecond: mebibytes / (took / 1000), cpuPerMib: cpu / mebibytes };
}

/** What a program echoes, key by key, at no fixed rhythm. @returns sorted milliseconds */
export async function echoes(terminal: RawTerminal, count: number): Promise<readonly number[]> {
  await terminal.ask(
    `stty raw -echo; echo re""ady; dd bs=1 count=${count + 1} status=none; stty sane -echo; echo do""ne\n`,
    'ready',
  );
  await delay(100);
  const times: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const key = String.fromCharCode(97 + (at % 26));
    times.push(await terminal.ask(key, key));
    await delay(5 + Math.random() * 10);
  }
  await terminal.ask('.', 'done');
  return times.sort((a, b) => a - b);
}

export async function echoesBesideFlood(peer: Peer, count: number): Promise<readonly number[]> {
  const flooded = await prepared(peer);
  const quiet = await prepared(peer);
  flooded.type(`yes "$(printf '${LINE}')"\n`);
  await delay(300);
  const times = await echoes(quiet, count);
  // A shell that nobody is attached to goes on; the next measure is not to be beside it.
  await flooded.ask('\x03echo en""ded\n', 'ended');
  flooded.close();
  quiet.close();
  return times;
}

/** Milliseconds from Ctrl-C to the prompt in a flood, read at so many bytes a second. */
export async function interrupt(peer: Peer, bytesPerSecond: number, floodMs: number): Promise<number> {
  const terminal = await prepared(peer);
  await terminal.ask('PS1=pro""mpt\n', 'prompt');
  terminal.readOn(bytesPerSecond);
  terminal.type('yes 0123456789012345678901234567890123456789\n');
  await delay(floodMs);
  const took = await terminal.ask('\x03', 'prompt');
  terminal.close();
  return took;
}

export interface Stall {
  /** Lines. */
  readonly lost: number;
  /** KiB of the server's processes. */
  readonly growth: number;
}

/** A client that reads nothing for a while, in a flood that ends. */
export async function stall(peer: Peer, ms: number): Promise<Stall> {
  const terminal = await prepared(peer);
  await delay(200);
  const lines = 3_000_000;
  const before = rssOf(peer.pids());
  terminal.bytes = 0;
  // In JSON a line's end is the only n among figures.
  const ends = peer.name === 'json' ? 'n'.charCodeAt(0) : '\n'.charCodeAt(0);
  let seen = 0;
  terminal.onOutput = (piece) => {
    for (let at = piece.indexOf(ends); at >= 0; at = piece.indexOf(ends, at + 1)) seen += 1;
  };
  terminal.type(`seq ${lines}; printf XX; printf X\n`);
  while (terminal.bytes < 100_000) await delay(1);
  terminal.stall();
  await delay(ms);
  const growth = rssOf(peer.pids()) - before;
  terminal.readOn();
  await terminal.until('XXX');
  terminal.close();
  return { lost: lines - seen, growth };
}

/** A shell that prints and ends at once. @returns bytes lost, of all runs */
export async function lastWords(peer: Peer, runs: number): Promise<{ readonly lost: number; readonly runs: number }> {
  let lost = 0;
  let lossy = 0;
  for (let run = 0; run < runs; run += 1) {
    const terminal = await prepared(peer);
    let text = '';
    terminal.onOutput = (piece) => (text += piece.toString('latin1'));
    terminal.type('seq 5000; exit\n');
    await terminal.over;
    const due = Array.from({ length: 5_000 }, (_, index) => `${index + 1}\r\n`).join('');
    const missing = due.length - Math.min(due.length, text.length);
    if (missing > 0 || !text.includes(due)) lossy += 1;
    lost += missing;
  }
  return { lost, runs: lossy };
}

/** Percent of a core that a paste costs while its program does not read it: beside what the idle server takes. */
export async function unreadPaste(peer: Peer, ms: number): Promise<number> {
  const terminal = await prepared(peer);
  await terminal.ask('stty raw -echo; echo re""ady; sleep 1000\n', 'ready');
  const cpu = async (): Promise<number> => {
    await delay(500);
    const before = cpuOf(peer.pids());
    await delay(ms);
    return cpuOf(peer.pids()) - before;
  };
  const idle = await cpu();
  terminal.type(Buffer.alloc(MEBI / 2, 'x'));
  const percent = (((await cpu()) - idle) / ms) * 100;
  terminal.close();
  return percent;
}

/** Milliseconds until a program has read a paste of 1 MiB whole. */
export async function paste(terminal: RawTerminal): Promise<{ readonly ms: number; readonly whole: boolean }> {
  const bytes = Buffer.alloc(MEBI);
  for (let at = 0; at < MEBI; at += 1) bytes[at] = 33 + ((at * 7) % 90);
  await terminal.ask(`stty raw -echo; echo re""ady; head -c ${MEBI} | cksum; stty sane -echo; echo do""ne\n`, 'ready');
  await delay(50);
  const begun = performance.now();
  terminal.tail = '';
  for (let at = 0; at < MEBI; at += 65_536) terminal.type(bytes.subarray(at, at + 65_536));
  await terminal.until('done');
  const ms = performance.now() - begun;
  return { ms, whole: terminal.tail.includes(`${cksum(bytes)} ${MEBI}`) };
}

export interface Crowd {
  readonly terminals: readonly RawTerminal[];
  /** Sorted milliseconds from the call to the first output. */
  readonly ready: readonly number[];
}

/** Opens shells, a few at a time. */
export async function crowd(open: () => Promise<RawTerminal>, count: number, atOnce = 4): Promise<Crowd> {
  const terminals: RawTerminal[] = [];
  const ready: number[] = [];
  const worker = async (): Promise<void> => {
    while (terminals.length < count) {
      const begun = performance.now();
      const index = terminals.push(null as unknown as RawTerminal) - 1;
      const terminal = await open();
      terminals[index] = terminal;
      while (terminal.bytes === 0) {
        if (terminal.closed) throw new Error(`a terminal ended before it was ready: ${terminal.control.join(' ')}`);
        await delay(1);
      }
      ready.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { terminals, ready: ready.sort((a, b) => a - b) };
}

/** Microseconds of CPU a second for each. @param settleMs what a burst has left to compile and to clear away is not idleness */
export async function idleCpu(pids: readonly number[], count: number, settleMs: number, ms: number): Promise<number> {
  await delay(settleMs);
  const before = cpuOf(pids);
  await delay(ms);
  return ((cpuOf(pids) - before) * 1000) / (ms / 1000) / count;
}

export const p = (sorted: readonly number[], share: number): number => quantile(sorted, share);

/** POSIX's, which the shell has too. */
function cksum(bytes: Buffer): number {
  let crc = 0;
  const step = (byte: number): void => {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  };
  for (const byte of bytes) step(byte);
  for (let { length } = bytes; length > 0; length = Math.floor(length / 256)) step(length & 255);
  return ~crc >>> 0;
}
