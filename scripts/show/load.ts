import { isRecord, TerminalClient } from '@devpocket/client';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Somebody, until } from './replica-set';

/** One answer: when it came, since when it was waited for (ms), and what it was; 0 for none. */
export interface Answered {
  readonly at: number;
  readonly took: number;
  readonly status: number;
}

/** Asks the same without end over a number of connections. */
export class Load {
  readonly answers: Answered[] = [];
  private readonly agent: Agent;
  private stopped = false;
  private readonly done: Promise<unknown>;

  constructor(
    private readonly url: string,
    private readonly token: string,
    connections: number,
    private readonly pauseMs = 0,
  ) {
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.done = Promise.all(Array.from({ length: connections }, () => this.run()));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.done;
    this.agent.destroy();
  }

  /** ms within which 99 of 100 answers between the two times came. */
  p99(from: number, to: number): number {
    const times = this.answers
      .filter(({ at }) => at >= from && at < to)
      .map(({ took }) => took)
      .sort((a, b) => a - b);
    return Math.round(times[Math.min(times.length - 1, Math.floor(times.length * 0.99))] ?? Infinity);
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const begun = performance.now();
      const status = await this.ask();
      const at = performance.now();
      this.answers.push({ at, took: at - begun, status });
      if (this.pauseMs > 0) await delay(this.pauseMs);
    }
  }

  private ask(): Promise<number> {
    return new Promise((resolve) => {
      const headers = { authorization: `Bearer ${this.token}` };
      const sent = request(this.url, { agent: this.agent, headers, timeout: 10_000 }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', () => resolve(0));
      });
      sent.on('timeout', () => sent.destroy()).on('error', () => resolve(0));
      sent.end();
    });
  }
}

/** Changes an environment's description and makes API keys, one after the other, and knows what was acknowledged. */
export class Writer {
  readonly keys: string[] = [];
  described = 0;
  asked = 0;
  failed = 0;
  private stopped = false;
  private readonly done: Promise<void>;

  constructor(
    private readonly owner: Somebody,
    private readonly environmentId: string,
    private readonly mostKeys = 40,
  ) {
    this.done = this.run();
  }

  /** Stops, and compares what is there with what was acknowledged. @returns what is wrong */
  async judge(): Promise<readonly string[]> {
    this.stopped = true;
    await this.done;
    const { client } = this.owner;
    const { description } = await client.environment(this.environmentId);
    const listed = await client.request('GET', '/auth/api-keys?limit=100');
    const there = new Set(Array.isArray(listed) ? listed.map((key) => (isRecord(key) ? key.name : null)) : []);
    const lost = this.keys.filter((name) => !there.has(name));
    const faults = lost.map((name) => `the API key ${name} of ${this.owner.name} was acknowledged and is not there`);
    const seen = Number(description);
    if (seen < this.described || seen > this.asked)
      faults.push(`${this.owner.name} described ${this.described} last (asked ${this.asked}), and ${seen} is there`);
    return faults;
  }

  private async run(): Promise<void> {
    const { client } = this.owner;
    for (let n = 1; !this.stopped; n += 1) {
      this.asked = n;
      await this.persist(() => client.request('PATCH', `/environments/${this.environmentId}`, { description: String(n) }));
      this.described = n;
      if (this.keys.length >= this.mostKeys || this.stopped) continue;
      const name = `key-${n}`;
      const made = await client.request('POST', '/auth/api-keys', { name, scopes: ['env:read'] }).catch(() => null);
      if (made !== null) this.keys.push(name);
      else this.failed += 1;
    }
  }

  /** Until it is acknowledged: a change that says the same twice changes nothing. */
  private async persist(call: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await call();
        return;
      } catch {
        this.failed += 1;
        await delay(20);
      }
    }
  }
}

/** A terminal as a person has it, on a shell that says each line again. */
export class Typist {
  readonly client: TerminalClient;
  heard = '';
  gaps = 0;
  connections = 0;
  ended: string | null = null;
  lines = 0;
  /** The last line that was said again. */
  said = 0;
  /** Connections that were cut. */
  cuts = 0;
  private tail = '';

  /** @param onOutput told of how much came */
  constructor(owner: Somebody, environmentId: string, onOutput: (bytes: number) => void = () => undefined) {
    this.client = new TerminalClient({
      url: owner.client.url,
      environmentId,
      token: () => owner.client.accessToken(),
      cols: 200,
      rows: 50,
      backoff: () => 1,
      onOutput: (data) => {
        this.heard += data;
        this.tail = (this.tail + data).slice(-256);
        this.said = Math.max(this.said, Number(/.*\bline (\d+)\r\n/s.exec(this.tail)?.[1] ?? 0));
        onOutput(data.length);
      },
      onGap: () => (this.gaps += 1),
      onConnected: () => (this.connections += 1),
      onEnd: ({ error, code }) => (this.ended = `${code} ${error ?? ''}`),
    });
    this.client.connect();
  }

  /** Runs `script` between BEGIN and END, which are spelt so that the echo of the command does not have them. */
  async begin(script: string): Promise<void> {
    this.client.input(`stty -echo; PS1=; PS2=; echo BEG''IN; ${script}; echo EN''D\n`);
    await until('a shell begins', 30_000, () => this.heard.includes('BEGIN\r\n'));
  }

  /** What is typed from here on is said again, once, until `stop`. */
  repeatLines(): Promise<void> {
    return this.begin('while read -r l; do [ "$l" = stop ] && break; echo "$l"; done');
  }

  /** Has the shell end what it runs, and waits for that. @param says whether it has to be told */
  async finish(says = true): Promise<void> {
    if (says) this.client.input('stop\n');
    await this.hears('END\r\n', 60_000);
  }

  line(): void {
    this.lines += 1;
    this.client.input(`line ${this.lines}\n`);
  }

  /** As a bad network would, in the middle of anything; each connection once. */
  cut(): void {
    if (this.connections <= this.cuts) return;
    this.cuts = this.connections;
    this.client.drop();
  }

  /** Of the last that was printed. */
  async hears(text: string, ms = 30_000): Promise<void> {
    for (const end = performance.now() + ms; !this.tail.includes(text); await delay(2)) {
      if (this.ended !== null) throw new Error(`a terminal ended: ${this.ended}`);
      if (performance.now() > end) throw new Error(`${text.trim()} was not heard within ${ms / 1000} s`);
    }
  }

  /** All that was printed between BEGIN and END, with the ends of lines that a file has. */
  get printed(): string {
    const from = this.heard.indexOf('BEGIN\r\n') + 'BEGIN\r\n'.length;
    return this.heard.slice(from, this.heard.indexOf('END\r\n', from)).replaceAll('\r\n', '\n');
  }
}
