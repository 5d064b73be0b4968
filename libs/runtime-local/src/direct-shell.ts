import { type InputMark, RuntimeError, type TerminalChannel, type TerminalExit, type TerminalSize } from '@devpocket/runtime';
import { foregroundBusy, hangUp, type HostShell, type OpenedShell } from './host-shell';
import { InputWriter } from './input-writer';
import { type Pty } from './pty';

/** A shell whose session is in this process too: nothing lies between the PTY and it. */
export class DirectShell implements TerminalChannel, HostShell {
  readonly createdAt = new Date();
  readonly start = 0;
  readonly kept = 0;
  readonly pid: () => number;
  readonly waiter: () => number;
  readonly ended: Promise<TerminalExit>;
  endReason: TerminalExit['reason'] | null = null;
  private readonly pty: Pty;
  private readonly input: InputWriter;
  private size: TerminalSize;
  /** Raw PTY bytes so far. */
  private position = 0;
  private allowed = 0;
  private end: number | null = null;
  private onOutput: (chunk: Buffer) => void = () => undefined;

  constructor(
    readonly sessionId: string,
    { pty, pid, waiter, explain }: OpenedShell,
    size: TerminalSize,
  ) {
    this.pid = pid;
    this.waiter = waiter;
    this.pty = pty;
    this.size = size;
    this.input = new InputWriter((bytes) => pty.write(bytes));
    this.ended = new Promise((resolve) => {
      pty.begin(
        (chunk) => {
          this.position += chunk.length;
          this.onOutput(chunk);
        },
        ({ code, signal }) => {
          this.end = Date.now();
          this.input.end();
          resolve({ code, signal, reason: this.endReason ?? explain(code, signal) });
        },
      );
    });
  }

  get alive(): boolean {
    return this.end === null;
  }

  get endedAt(): number | null {
    return this.end;
  }

  get cols(): number {
    return this.size.cols;
  }

  get rows(): number {
    return this.size.rows;
  }

  get inputMarks(): ReadonlyMap<string, number> {
    return this.input.marks;
  }

  attach(onOutput: (chunk: Buffer) => void): void {
    this.onOutput = onOutput;
    this.pty.read(this.allowed - this.position);
  }

  allow(position: number): void {
    if (position <= this.allowed) return;
    this.allowed = position;
    this.pty.read(position - this.position);
  }

  write(bytes: Buffer, mark?: InputMark): Promise<void> {
    return new Promise((resolve, reject) => {
      this.input.write(bytes, mark, (taken) => {
        if (taken) resolve();
        else reject(new RuntimeError('gone', 'The shell has ended'));
      });
    });
  }

  resize({ cols, rows }: TerminalSize): Promise<void> {
    if (this.alive && (cols !== this.size.cols || rows !== this.size.rows)) this.pty.resize(cols, rows);
    this.size = { cols, rows };
    return Promise.resolve();
  }

  kill(): Promise<void> {
    hangUp(this);
    return Promise.resolve();
  }

  /** It has no other: who held its session has left, and so does it. */
  detach(): void {
    this.onOutput = () => undefined;
  }

  foregroundBusy(): Promise<boolean | null> {
    return Promise.resolve(foregroundBusy(this));
  }
}
