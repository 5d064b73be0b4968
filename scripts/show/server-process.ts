import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export { freePort } from '@testing/kernel';

/** Where npm runs scripts: this file stands at another depth when it is built. */
const ROOT = process.cwd();
/** As `npm start` and the image have it: what idles needs no 16 MiB for what is forgotten at once. */
const NEW_SPACE = '--max-semi-space-size=4';

/** The built server as a process of its own, started, killed and restarted by a show. */
export class ServerProcess {
  private child: ChildProcess | null = null;
  private output = '';

  constructor(
    readonly port: number,
    private readonly env: Readonly<Record<string, string>>,
    /** Of all that it ever prints; the log here is of its last life, and its end alone. */
    private readonly onOutput: (text: string) => void = () => undefined,
    /** What is run: the server itself, or one on another runtime. */
    private readonly program = 'dist/apps/api/src/main.js',
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** Resolves when the server is ready. @returns milliseconds that it took */
  async start(): Promise<number> {
    const begun = performance.now();
    this.output = '';
    const child = spawn(process.execPath, [NEW_SPACE, join(ROOT, this.program)], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH ?? '',
        HOST: '127.0.0.1',
        PORT: String(this.port),
        LOG_LEVEL: 'warn',
        LOG_FORMAT: 'json',
        ...this.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    const keep = (chunk: Buffer): void => {
      const text = chunk.toString();
      this.onOutput(text);
      this.output = (this.output + text).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`The server ended while starting:\n${this.output}`);
      if (performance.now() - begun > 60_000) throw new Error(`The server was not ready after 60 s:\n${this.output}`);
      if (await this.isReady()) return performance.now() - begun;
      await delay(10);
    }
  }

  /** Sends the signal and waits for the end. */
  async end(signal: 'SIGKILL' | 'SIGINT' | 'SIGTERM'): Promise<void> {
    const { child } = this;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await ended;
    this.child = null;
  }

  log(): string {
    return this.output;
  }

  private async isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/health/ready`)).ok;
    } catch {
      return false; // not listening yet
    }
  }
}
