import { spawn } from '@lydell/node-pty';
import { isRecord } from '@devpocket/client';
import { TestCluster } from '@testing/runtime-kubernetes';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { KubernetesWorld } from './kubernetes-world';
import { median, quantile } from './load';

const SIZE = { cols: 100, rows: 30 };
const TAIL = 256;
/** A fast typist; the server gathers what comes faster than every 8 ms. */
const BETWEEN_KEYS_MS = 30;

/** A shell at the other end of a terminal: what is typed, and what comes back. */
class Shell {
  private bytes = 0;
  private tail = '';
  private waiting: { readonly text: string; readonly resolve: () => void } | null = null;

  constructor(
    readonly type: (text: string) => void,
    readonly close: () => void,
  ) {}

  heard(chunk: string | Buffer): void {
    this.bytes += chunk.length;
    this.tail = (
      this.tail + (typeof chunk === 'string' ? chunk.slice(-TAIL) : chunk.toString('latin1', Math.max(0, chunk.length - TAIL)))
    ).slice(-TAIL);
    if (!this.waiting || !this.tail.includes(this.waiting.text)) return;
    this.waiting.resolve();
    this.waiting = null;
  }

  /** Types, and waits for what comes of it. @returns milliseconds */
  async ask(typed: string, answer: string): Promise<number> {
    this.tail = '';
    const begun = performance.now();
    const answered = new Promise<void>((resolve) => (this.waiting = { text: answer, resolve }));
    this.type(typed);
    await answered;
    return performance.now() - begun;
  }

  /** @returns MiB a second */
  async flood(mebibytes: number): Promise<number> {
    const before = this.bytes;
    const took = await this.ask(`head -c ${mebibytes * 2 ** 20} /dev/zero | tr '\\0' x; echo; echo flo""oded\n`, 'flooded');
    if (this.bytes - before < mebibytes * 2 ** 20) throw new Error('Output was lost');
    return mebibytes / (took / 1000);
  }

  /** @returns milliseconds of each echo, sorted */
  async echoes(count: number): Promise<readonly number[]> {
    // The kernel's own echo, without a line editor.
    const reads = `stty -icanon; echo re""ady; head -c ${count + 1} >/dev/null; stty icanon; echo do""ne`;
    await this.ask(`${reads}\n`, 'ready');
    await delay(200);
    const times: number[] = [];
    for (let at = 0; at < count; at += 1) {
      const letter = String.fromCharCode(97 + (at % 26));
      times.push(await this.ask(letter, letter));
      await delay(BETWEEN_KEYS_MS);
    }
    await this.ask('.', 'done');
    return times.sort((a, b) => a - b);
  }
}

async function throughServer(world: KubernetesWorld, id: string): Promise<Shell> {
  const made = await world.client.request('POST', `/environments/${id}/terminal-ticket`);
  const ticket = isRecord(made) ? String(made.ticket) : '';
  const url = `${world.server.url.replace('http', 'ws')}/api/v1/ws/terminal/${id}?ticket=${ticket}&cols=${SIZE.cols}&rows=${SIZE.rows}`;
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const shell = new Shell(
    (data) => socket.send(JSON.stringify({ type: 'input', data })),
    () => socket.close(),
  );
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (frame: Buffer) => {
      const message = JSON.parse(frame.toString('utf8')) as { readonly type: string; readonly data?: string };
      if (message.type === 'welcome') resolve();
      else if (message.type === 'output') shell.heard(message.data ?? '');
      else if (message.type === 'gap') reject(new Error('Output was lost'));
    });
  });
  return shell;
}

function throughKubectl(pod: { readonly name: string; readonly namespace: string }): Shell {
  const command = ['exec', '-it', '-n', pod.namespace, pod.name, '-c', 'environment', '--', 'bash'];
  const pty = spawn('kubectl', command, { ...SIZE, env: process.env, encoding: null });
  const shell = new Shell(
    (text) => pty.write(text),
    () => pty.kill(),
  );
  // Without an encoding it hands over buffers, whatever its types say.
  pty.onData((chunk) => shell.heard(chunk));
  return shell;
}

/** One shell through the server and one through `kubectl exec -it`, in the same pod, in turns. */
export async function compareTerminals(mebibytes: number, echoes: number, rounds: number): Promise<void> {
  const cluster = await TestCluster.open('terminal');
  const world = await KubernetesWorld.open(cluster);
  try {
    const id = await world.create('terminal', '2');
    await world.reach(id, 'running');
    const query = { labelSelector: `devpocket.io/env=${id}` };
    const { items } = await cluster.api.list('/api/v1/pods', { query });
    const { name = '', namespace = '' } = items[0]?.metadata ?? {};
    const ours = await throughServer(world, id);
    const peer = throughKubectl({ name, namespace });
    const floods = { ours: [] as number[], peer: [] as number[] };
    const times = { ours: [] as (readonly number[])[], peer: [] as (readonly number[])[] };
    for (const shell of [ours, peer]) {
      await shell.ask('PS1=; echo awa""ke\n', 'awake');
      await shell.flood(1);
    }
    for (let round = 0; round < rounds; round += 1) {
      floods.ours.push(await ours.flood(mebibytes));
      floods.peer.push(await peer.flood(mebibytes));
      times.ours.push(await ours.echoes(echoes));
      times.peer.push(await peer.echoes(echoes));
    }
    ours.close();
    peer.close();
    const of = (side: 'ours' | 'peer', share: number): number => median(times[side].map((sorted) => quantile(sorted, share)));
    const row = (name: string, side: 'ours' | 'peer'): void =>
      say(
        `  ${name.padEnd(13)} ${median(floods[side]).toFixed(1)} MiB/s   echo p50 ${of(side, 0.5).toFixed(2)} ms   p99 ${of(side, 0.99).toFixed(2)} ms`,
      );
    const ratio = (a: readonly number[], b: readonly number[]): string =>
      median(a.map((value, at) => value / (b[at] ?? Number.NaN))).toFixed(2);
    const at = (side: 'ours' | 'peer', share: number): readonly number[] => times[side].map((sorted) => quantile(sorted, share));
    say(`a terminal over exec (${rounds} rounds of ${mebibytes} MiB and ${echoes} echoes)`);
    row('devpocket', 'ours');
    row('kubectl exec', 'peer');
    say(
      `  ratio         ${ratio(floods.ours, floods.peer)} × throughput, ${ratio(at('ours', 0.5), at('peer', 0.5))} × echo p50, ${ratio(at('ours', 0.99), at('peer', 0.99))} × echo p99`,
    );
  } finally {
    await world.close();
    await cluster.close();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
