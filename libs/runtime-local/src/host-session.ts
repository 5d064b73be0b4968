import { Gather, RingBuffer } from '@devpocket/kernel';
import { type InputMark, type TerminalExit } from '@devpocket/runtime';
import { HOST_PIECE_BYTES, type HostRecord } from './host-protocol';
import { type HostShell, type OpenedShell } from './host-shell';
import { InputWriter } from './input-writer';
import { FULL_READ_BYTES, type Pty } from './pty';

/** Where a session's output goes while a server is attached. */
export interface Sink {
  /** @param parts views of the ring, not to be kept */
  output(parts: readonly Buffer[]): void;
  exit(exit: TerminalExit): void;
}

/** One shell whose session is the server's: its kept output, its input marks, its end. */
export class HostSession implements HostShell {
  readonly createdAt = Date.now();
  private readonly kept: RingBuffer;
  /** What is sent at once: less than is kept, so that nothing is lost that comes meanwhile. */
  private readonly pieceBytes: number;
  private readonly input: InputWriter;
  private readonly gather: Gather;
  private sink: Sink | null = null;
  /** Position up to which the sink has it. */
  private sent = 0;
  /** Position up to which the server wants it; all is kept without one. */
  private allowed = Infinity;
  private flushing: 'soon' | 'later' | null = null;
  private exit: TerminalExit | null = null;
  private end: number | null = null;
  private readonly pty: Pty;
  readonly pid: () => number;
  readonly waiter: () => number;
  endReason: TerminalExit['reason'] | null = null;

  constructor(
    readonly sessionId: string,
    { pty, pid, waiter, explain }: OpenedShell,
    private size: { cols: number; rows: number },
    bufferBytes: number,
  ) {
    this.pty = pty;
    this.pid = pid;
    this.waiter = waiter;
    this.kept = new RingBuffer(bufferBytes);
    this.pieceBytes = Math.min(HOST_PIECE_BYTES, Math.floor(bufferBytes / 2));
    this.gather = new Gather(this.pieceBytes);
    this.input = new InputWriter((bytes) => pty.write(bytes));
    pty.begin(
      (chunk) => this.output(chunk),
      ({ code, signal }) => this.finish({ code, signal, reason: this.endReason ?? explain(code, signal) }),
    );
    pty.read(Infinity);
  }

  get alive(): boolean {
    return this.exit === null;
  }

  get endedAt(): number | null {
    return this.end;
  }

  record(): HostRecord {
    return {
      sessionId: this.sessionId,
      createdAt: this.createdAt,
      ...this.size,
      position: this.kept.end,
      exit: this.exit,
      endedAt: this.endedAt,
    };
  }

  /** Hands the kept output over, then what follows; an end that has been comes last. */
  attach(sink: Sink): {
    readonly start: number;
    readonly kept: number;
    readonly marks: readonly (readonly [string, number])[];
    readonly begin: () => void;
  } {
    this.detach();
    const { start, end } = this.kept;
    const begin = (): void => {
      this.sink = sink;
      this.sent = start;
      this.allowed = this.kept.end;
      this.flow();
      while (this.sent < this.kept.end) this.send();
      if (this.exit) sink.exit(this.exit);
    };
    return { start, kept: end - start, marks: [...this.input.marks], begin };
  }

  /** From now on the output is only kept. */
  detach(): void {
    this.sink = null;
    this.allowed = Infinity;
    this.flow();
  }

  /** The server takes output up to this position. */
  allow(position: number): void {
    if (!this.sink || position <= this.allowed) return;
    this.allowed = position;
    this.flow();
  }

  resize(cols: number, rows: number): void {
    if (!this.alive || (cols === this.size.cols && rows === this.size.rows)) return;
    this.size = { cols, rows };
    this.pty.resize(cols, rows);
  }

  /** @see InputWriter.write */
  write(bytes: Buffer, mark: InputMark | undefined, done: (taken: boolean) => void): void {
    this.input.write(bytes, mark, done);
  }

  private flow(): void {
    this.pty.read(this.allowed - this.kept.end);
  }

  private output(chunk: Buffer): void {
    this.kept.append(chunk);
    if (!this.sink) return;
    // A shell that stands because nobody takes more has nothing to wait for.
    if (this.kept.end - this.sent >= this.pieceBytes || this.kept.end >= this.allowed) this.send();
    else if (this.flushing !== null) return;
    else if (chunk.length < FULL_READ_BYTES) this.flush();
    else {
      // Behind all that can be read now.
      this.flushing = 'soon';
      setImmediate(() => this.flush());
    }
  }

  private flush(): void {
    this.flushing = null;
    const pending = this.kept.end - this.sent;
    if (!this.sink || pending <= 0) return;
    const wait = this.gather.wait(pending, performance.now());
    if (wait === 0) {
      this.send();
      return;
    }
    this.flushing = 'later';
    setTimeout(() => this.flush(), wait);
  }

  private send(): void {
    if (!this.sink) return;
    const at = Math.max(this.sent, this.kept.start);
    const parts = this.kept.parts(at, HOST_PIECE_BYTES);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    this.sent = at + bytes;
    this.gather.sent(bytes, performance.now());
    this.sink.output(parts);
  }

  private finish(exit: TerminalExit): void {
    if (this.exit) return;
    this.exit = exit;
    this.end = Date.now();
    this.input.end();
    while (this.sink && this.sent < this.kept.end) this.send();
    this.sink?.exit(exit);
  }
}
