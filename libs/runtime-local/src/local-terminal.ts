import { type InputMark, type TerminalChannel, type TerminalExit, type TerminalSize } from '@devpocket/runtime';
import { type HostClient } from './host-client';
import { type Attached } from './host-protocol';

/** A shell in the PTY host, as the rest of the server sees it. */
export class LocalTerminal implements TerminalChannel {
  readonly ended: Promise<TerminalExit>;
  private settle: (exit: TerminalExit) => void = () => undefined;
  private listener: ((chunk: Buffer) => void) | null = null;
  private paused = false;
  /** Came before anybody listened, or while paused: not acknowledged, so the host stops sending when its window is full. */
  private queue: Buffer[] = [];
  private exit: TerminalExit | null = null;
  private size: TerminalSize;

  private constructor(
    private readonly host: HostClient,
    private readonly attached: Attached,
  ) {
    this.size = { cols: attached.cols, rows: attached.rows };
    this.ended = new Promise((resolve) => (this.settle = resolve));
  }

  static async attach(host: HostClient, sessionId: string): Promise<LocalTerminal> {
    let terminal: LocalTerminal | null = null;
    await host.attach(sessionId, (attached) => {
      const made = new LocalTerminal(host, attached);
      terminal = made;
      return { output: (bytes) => made.output(bytes), exit: (exit) => made.end(exit) };
    });
    if (!terminal) throw new Error('not attached');
    return terminal;
  }

  get sessionId(): string {
    return this.attached.sessionId;
  }

  get createdAt(): Date {
    return new Date(this.attached.createdAt);
  }

  get start(): number {
    return this.attached.start;
  }

  get kept(): number {
    return this.attached.kept;
  }

  get cols(): number {
    return this.size.cols;
  }

  get rows(): number {
    return this.size.rows;
  }

  get inputMarks(): ReadonlyMap<string, number> {
    return new Map(this.attached.marks);
  }

  attach(onOutput: (chunk: Buffer) => void): void {
    this.listener = onOutput;
    this.flow();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.flow();
  }

  write(bytes: Buffer, mark?: InputMark): Promise<void> {
    return this.host.write({ sessionId: this.sessionId, ...(mark ? { mark } : {}) }, bytes);
  }

  async resize({ cols, rows }: TerminalSize): Promise<void> {
    if (this.exit) return;
    this.size = { cols, rows };
    await this.host.ask({ op: 'resize', sessionId: this.sessionId, cols, rows });
  }

  async kill(): Promise<void> {
    await this.host.ask({ op: 'kill', sessionId: this.sessionId });
  }

  detach(): void {
    this.listener = null;
    this.host.drop(this.attached.handle);
    if (!this.exit) this.host.ask({ op: 'detach', sessionId: this.sessionId }).catch(() => undefined); // a host that is gone has let go
  }

  async foregroundBusy(): Promise<boolean | null> {
    return this.host.ask<boolean | null>({ op: 'foreground', sessionId: this.sessionId });
  }

  private output(bytes: Buffer): void {
    this.queue.push(bytes);
    this.flow();
  }

  private end(exit: TerminalExit): void {
    this.exit = exit;
    this.flow();
  }

  private flow(): void {
    // What an ended shell has left is bounded and nobody's to slow.
    while (this.listener && (!this.paused || this.exit)) {
      const chunk = this.queue.shift();
      if (!chunk) break;
      this.host.ack(this.attached.handle, chunk.length);
      this.listener(chunk);
    }
    if (this.exit && this.queue.length === 0) this.settle(this.exit);
  }
}
