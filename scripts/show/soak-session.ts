import { type TerminalClient, type TerminalProtocol } from '@devpocket/client';
import { type TerminalWorld } from './terminal-world';

/** What the shell runs: it repeats a line (t) or prints numbers (f), so that all it prints is known beforehand. */
const PROGRAM = 'while read -r k a b; do case $k in t) echo "$a $b";; f) seq $a $b;; esac; done';
const READY = 'ready\r\n';
const LOOK_MS = 1_000;
const NUMBERS = 200_000;
/** Numbers from 1 on as a terminal shows them, and where each begins. */
const starts = new Uint32Array(NUMBERS + 2);
const printed = ((): Buffer => {
  const lines: string[] = [];
  for (let n = 1; n <= NUMBERS; n += 1) {
    const line = `${n}\r\n`;
    lines.push(line);
    starts[n + 1] = (starts[n] ?? 0) + line.length;
  }
  return Buffer.from(lines.join(''));
})();
/** More than is kept of a session's output. */
export const FILL = [1, NUMBERS] as const;

export interface SoakOptions {
  readonly name: number;
  readonly environmentId: string;
  readonly protocol: TerminalProtocol;
  /** The way to the server. */
  readonly url: string;
}

/** One shell, what it should print, and what came of it. */
export class SoakSession {
  connections = 0;
  bytes = 0;
  /** What is not as it should be; the session is given up. */
  fault: string | null = null;
  private readonly client: TerminalClient;
  private readonly due: Buffer[] = [];
  private dueBytes = 0;
  private lines = 0;
  private begun = false;
  private head = '';
  private over = false;
  private moved: () => void = () => undefined;

  constructor(
    world: TerminalWorld,
    private readonly options: SoakOptions,
  ) {
    this.client = world.terminal(
      {
        protocol: options.protocol,
        environmentId: options.environmentId,
        backoff: () => 20 + Math.random() * 200,
        onBytes: (bytes) => this.take(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
        onConnected: () => (this.connections += 1),
        onGap: (missing) => this.fail(`${missing} bytes are missing`),
        onEnd: ({ code, error, exit }) => {
          if (!this.over)
            this.fail(`closed ${code} ${error ?? ''} ${JSON.stringify(exit)} behind ${JSON.stringify(this.head.slice(-200))}`);
        },
      },
      options.url,
    );
    this.client.connect();
    this.client.input(
      `stty -echo; PS1= PS2=; bind 'set enable-bracketed-paste off'; ${PROGRAM.replace('while', "echo rea''dy; while")}\n`,
    );
  }

  /** Types a line, in two pieces. */
  type(): void {
    this.lines += 1;
    const line = `${this.options.name} ${this.lines}`;
    this.expect(Buffer.from(`${line}\r\n`));
    this.client.input(`t ${line.slice(0, 3)}`);
    this.client.input(`${line.slice(3)}\n`);
  }

  flood(from: number, to: number): void {
    this.expect(printed.subarray(starts[from], starts[to + 1]));
    this.client.input(`f ${from} ${to}\n`);
  }

  floodSome(): void {
    const from = 1 + Math.floor(Math.random() * (NUMBERS / 2));
    this.flood(from, from + Math.floor(Math.random() * (NUMBERS / 4)));
  }

  /** As a network that goes without a word. */
  drop(): void {
    this.client.drop();
  }

  /** Resolves when all that is due has come. @throws Error when it does not, or something else came */
  async settled(patienceMs: number): Promise<void> {
    const until = performance.now() + patienceMs;
    while (this.fault === null && (!this.begun || this.dueBytes > 0)) {
      if (performance.now() > until)
        this.fail(`stuck: ${this.dueBytes} bytes did not come, ${this.client.unacknowledged} were not taken`);
      await new Promise<void>((resolve) => {
        this.moved = resolve;
        setTimeout(resolve, LOOK_MS);
      });
    }
    if (this.fault !== null) throw new Error(this.fault);
  }

  leave(): void {
    this.over = true;
    this.client.close();
  }

  private expect(bytes: Buffer): void {
    this.due.push(bytes);
    this.dueBytes += bytes.length;
  }

  private take(bytes: Buffer): void {
    let rest = bytes;
    if (!this.begun) {
      this.head += bytes.toString('latin1');
      const at = this.head.indexOf(READY);
      if (at < 0) return;
      this.begun = true;
      rest = Buffer.from(this.head.slice(at + READY.length), 'latin1');
    }
    while (rest.length > 0 && this.fault === null) {
      const [next] = this.due;
      if (!next) return this.fail(`more than was due: ${JSON.stringify(rest.toString('latin1', 0, 60))}`);
      const length = Math.min(next.length, rest.length);
      if (next.compare(rest, 0, length, 0, length) !== 0)
        return this.fail(
          `${JSON.stringify(rest.toString('latin1', 0, 60))} instead of ${JSON.stringify(next.toString('latin1', 0, 60))}`,
        );
      this.bytes += length;
      this.dueBytes -= length;
      if (length === next.length) this.due.shift();
      else this.due[0] = next.subarray(length);
      rest = rest.subarray(length);
    }
    if (this.dueBytes === 0) this.moved();
  }

  private fail(text: string): void {
    this.fault ??= `session ${this.options.name} (${this.options.protocol}): ${text}`;
    this.moved();
  }
}
