import { RuntimeError } from '@devpocket/runtime';
import { holderCommand, programFor } from './entry';
import { BadFrameError, FrameReader, type Hello, type HolderFrame } from './frames';

/** A program that runs in the container with its three streams, over whatever way the runtime has. */
export interface HolderStream {
  /** `ended`: the program's own end. `broken`: the way's; nothing is known of the program. */
  readonly end: Promise<
    { readonly kind: 'ended'; readonly code: number } | { readonly kind: 'broken'; readonly message: string }
  >;
  /** Begins the flow of output, in order, all of it before `end`. */
  attach(onOutput: (chunk: Buffer, channel: 'stdout' | 'stderr') => void): void;
  /** @throws RuntimeError `gone` when it has ended */
  write(bytes: Buffer): Promise<void>;
  close(): void;
}

/** Runs a command in the container. @throws RuntimeError `gone` where the container does not run */
export type RunInContainer = (command: readonly string[]) => Promise<HolderStream>;

export interface ConnectionListener {
  /** The first call. */
  hello(hello: Hello): void;
  frame(frame: Exclude<HolderFrame, { readonly type: 'hello' }>): void;
}

const NO_SUCH_SHELL = 3;
const HELLO_MS = 15_000;
const MOST_WORDS = 4_096;

/** One connection to a holder, from its hello on. */
export class HolderConnection {
  private readonly reader = new FrameReader();
  private line: string | null = '';
  private words = '';
  private fault: RuntimeError | null = null;
  private greeted: (() => void) | null = null;
  /** It is over, by whichever side. */
  readonly closed: Promise<void>;

  private constructor(
    private readonly stream: HolderStream,
    private readonly listener: ConnectionListener,
  ) {
    this.closed = stream.end.then(() => undefined);
  }

  /**
   * @param args of the holder; see ../program/pty-holder.c
   * @throws RuntimeError `gone` without container or shell; `refused` without the means to hold one, saying which; `unreachable` when
   * the way broke, or what was run there did
   */
  static async open(run: RunInContainer, args: readonly string[], listener: ConnectionListener): Promise<HolderConnection> {
    const stream = await run(holderCommand(args));
    const connection = new HolderConnection(stream, listener);
    const timer = setTimeout(() => stream.close(), HELLO_MS);
    try {
      const greeted = new Promise<null>((resolve) => (connection.greeted = () => resolve(null)));
      stream.attach((chunk, channel) => connection.take(chunk, channel));
      const end = await Promise.race([greeted, stream.end]);
      if (end) throw connection.failure(end);
      return connection;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Does not wait: what matters is answered by a frame. */
  send(frame: Buffer): void {
    this.stream.write(frame).catch(() => undefined); // it is over, which `lost` tells
  }

  close(): void {
    this.stream.close();
  }

  private take(chunk: Buffer, channel: 'stdout' | 'stderr'): void {
    if (channel === 'stderr') {
      this.words = (this.words + chunk.toString('utf8')).slice(0, MOST_WORDS);
      return;
    }
    if (this.fault) return;
    try {
      for (const frame of this.reader.push(this.line === null ? chunk : this.enter(chunk))) this.pass(frame);
    } catch (error) {
      if (!(error instanceof BadFrameError)) throw error;
      this.fail(`The terminal's program in the container is not ours: ${error.message}`);
    }
  }

  private pass(frame: HolderFrame): void {
    if (frame.type !== 'hello') return this.listener.frame(frame);
    if (!this.greeted) throw new BadFrameError('A second hello');
    this.listener.hello(frame.hello);
    this.greeted();
    this.greeted = null;
  }

  /** The line that asks for the program comes before the first frame, if it comes. */
  private enter(chunk: Buffer): Buffer {
    if (this.line === '' && chunk[0] !== 0x4e) {
      this.line = null;
      return chunk;
    }
    const at = chunk.indexOf(10);
    this.line = (this.line ?? '') + chunk.toString('latin1', 0, at < 0 ? chunk.length : at);
    if (at < 0) return Buffer.alloc(0);
    const machine = this.line.slice(1).slice(0, 64);
    const program = programFor(machine);
    this.line = null;
    if (program) this.send(program);
    else this.fail(`There is no terminal on machines of the kind ${machine}`);
    return chunk.subarray(at + 1);
  }

  private fail(message: string): void {
    this.fault = new RuntimeError('refused', message);
    this.stream.close();
  }

  private failure(end: Awaited<HolderStream['end']>): RuntimeError {
    if (this.fault) return this.fault;
    if (end.kind === 'broken') return new RuntimeError('unreachable', end.message);
    if (end.code === NO_SUCH_SHELL) return new RuntimeError('gone', 'There is no such terminal');
    const words = this.words.trim();
    return words
      ? new RuntimeError('refused', `There is no terminal: ${words}`)
      : new RuntimeError('unreachable', `The terminal's program ended with code ${end.code}`);
  }
}
