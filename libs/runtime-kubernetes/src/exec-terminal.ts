import {
  type InputMark,
  RuntimeError,
  type TerminalChannel,
  type TerminalExit,
  type TerminalRequest,
  type TerminalSize,
} from '@devpocket/runtime';
import { type ExecEnd, type ExecStream } from './exec-stream';

export interface TerminalHost {
  readonly createdAt: Date;
  /** Ends the shell of this process id: hangs it up. */
  hangUp(pid: number): Promise<void>;
  /** How a shell ended whose end was not its own word. */
  explain(end: ExecEnd): Promise<TerminalExit>;
  /** Something went through it. */
  touch(): void;
}

/** A shell under a PTY in a pod, as the rest of the server sees it. It lives as long as its connection. */
export class ExecTerminal implements TerminalChannel {
  readonly start = 0;
  readonly kept = 0;
  readonly inputMarks: ReadonlyMap<string, number> = new Map();
  readonly ended: Promise<TerminalExit>;
  private readonly marks = new Map<string, number>();
  private size: TerminalSize;
  private killed = false;
  private over = false;
  private writes: Promise<void> = Promise.resolve();

  private constructor(
    private readonly stream: ExecStream,
    private readonly request: TerminalRequest,
    private readonly host: TerminalHost,
    private readonly pid: number,
    /** Came with the line that told the process id. */
    private head: Buffer,
  ) {
    this.size = { cols: request.cols, rows: request.rows };
    this.ended = stream.end.then((end) => this.exitOf(end));
  }

  /** Reads the line in which the shell's process tells its id. @throws RuntimeError `gone` when there is no shell */
  static async begin(stream: ExecStream, request: TerminalRequest, host: TerminalHost): Promise<ExecTerminal> {
    const resized = stream.resize(request).catch(() => undefined); // it has ended: told below
    const line = await firstLine(stream);
    await resized;
    return new ExecTerminal(stream, request, host, line.pid, line.rest);
  }

  get sessionId(): string {
    return this.request.sessionId;
  }

  get createdAt(): Date {
    return this.host.createdAt;
  }

  get cols(): number {
    return this.size.cols;
  }

  get rows(): number {
    return this.size.rows;
  }

  attach(onOutput: (chunk: Buffer) => void): void {
    const { head } = this;
    this.head = Buffer.alloc(0);
    if (head.length > 0) onOutput(head);
    this.stream.attach((chunk) => {
      this.host.touch();
      onOutput(chunk);
    });
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  write(bytes: Buffer, mark?: InputMark): Promise<void> {
    if (this.over) return Promise.reject(new RuntimeError('gone', 'The shell has ended'));
    let fresh = bytes;
    if (mark) {
      const taken = this.marks.get(mark.clientId) ?? 0;
      if (mark.seq <= taken) return this.writes;
      fresh = bytes.subarray(Math.max(0, bytes.length - (mark.seq - taken)));
      this.marks.set(mark.clientId, mark.seq);
    }
    this.host.touch();
    const written = this.writes.then(() => this.stream.write(fresh));
    this.writes = written.catch(() => undefined); // told to its own caller
    return written;
  }

  async resize({ cols, rows }: TerminalSize): Promise<void> {
    if (this.over || (cols === this.size.cols && rows === this.size.rows)) return;
    this.size = { cols, rows };
    await this.stream.resize(this.size);
  }

  async kill(): Promise<void> {
    if (this.over) return;
    this.killed = true;
    await this.host.hangUp(this.pid);
  }

  /** Its shell cannot wait for another server: it is hung up. */
  detach(): void {
    if (!this.over) this.host.hangUp(this.pid).catch(() => undefined); // ends with its pod at the latest
    this.stream.close();
  }

  foregroundBusy(): Promise<null> {
    return Promise.resolve(null);
  }

  private async exitOf(end: ExecEnd): Promise<TerminalExit> {
    this.over = true;
    if (this.killed) return { code: null, signal: 'SIGHUP', reason: 'killed' };
    // Below 128 it is the shell's own word; above, and without any, something ended it.
    if (end.kind === 'ended' && end.code <= 128) return { code: end.code, signal: null, reason: 'exited' };
    if (end.kind === 'broken') this.host.hangUp(this.pid).catch(() => undefined); // as above
    return this.host.explain(end);
  }
}

async function firstLine(stream: ExecStream): Promise<{ readonly pid: number; readonly rest: Buffer }> {
  let heard = Buffer.alloc(0);
  const line = new Promise<number>((resolve) => {
    stream.attach((chunk) => {
      heard = Buffer.concat([heard, chunk]);
      const at = heard.indexOf(10);
      if (at < 0) return;
      stream.detach();
      resolve(at);
    });
  });
  const at = await Promise.race([line, stream.end]);
  if (typeof at !== 'number') {
    if (at.kind === 'broken') throw new RuntimeError('unreachable', at.message);
    throw new RuntimeError('gone', `There is no shell: ${heard.toString('utf8').trim() || (at.message ?? `code ${at.code}`)}`);
  }
  const pid = Number(heard.subarray(0, at).toString('utf8').trim());
  if (!Number.isInteger(pid) || pid < 2) {
    stream.close();
    throw new RuntimeError('gone', `There is no shell: ${heard.toString('utf8').trim()}`);
  }
  return { pid, rest: heard.subarray(at + 1) };
}
