import { type InputMark, type TerminalChannel, type TerminalExit, type TerminalSize } from '@devpocket/runtime';
import { type HostClient } from './host-client';
import { type Attached } from './host-protocol';

/** A shell in the PTY host, as the rest of the server sees it. */
export class LocalTerminal implements TerminalChannel {
  readonly ended: Promise<TerminalExit>;
  private settle: (exit: TerminalExit) => void = () => undefined;
  private listener: ((chunk: Buffer) => void) | null = null;
  /** Came before anybody listened: what was kept. */
  private early: Buffer[] = [];
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
    for (const chunk of this.early.splice(0)) onOutput(chunk);
    if (this.exit) this.settle(this.exit);
  }

  allow(position: number): void {
    if (!this.exit) this.host.allow(this.attached.handle, position);
  }

  write(bytes: Buffer, mark?: InputMark): Promise<void> {
    return this.host.write(this.attached.handle, bytes, mark);
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
    if (this.listener) this.listener(bytes);
    else this.early.push(Buffer.from(bytes));
  }

  private end(exit: TerminalExit): void {
    this.exit = exit;
    if (this.listener) this.settle(exit);
  }
}
