import { type Clock } from '@devpocket/kernel';
import {
  type InputMark,
  RuntimeError,
  type TerminalChannel,
  type TerminalExit,
  type TerminalRequest,
  type TerminalSize,
} from '@devpocket/runtime';
import { randomInt } from 'node:crypto';
import { exitOf } from './entry';
import { consumedFrame, FOREGROUND_FRAME, HANG_UP_FRAME, type Hello, type HolderFrame, sizeFrame } from './frames';
import { HolderConnection, type RunInContainer } from './holder-connection';
import { InputQueue } from './input-queue';

export interface HeldTerminalOptions {
  readonly run: RunInContainer;
  readonly clock: Clock;
  /** Output that is kept in the container. */
  readonly bufferBytes: number;
  /** Why a shell ended: by its own word, or, null, without one. */
  readonly explain: (own: TerminalExit | null) => Promise<TerminalExit>;
  /** Something went through it. */
  readonly touch: () => void;
}

/** Output under way that nobody has consumed yet. */
const WINDOW_BYTES = 524_288;
/** Words about it in a window. */
const WORDS = 32;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** What is in the container is its user's, and may answer nothing: how long is waited for an answer, and for the end of a hung-up shell. */
const ANSWER_MS = 2_000;
const HANG_UP_MS = 15_000;
/** Ways through proxies and kubelets are closed when nothing passes for long. */
const TOUCH_MS = 300_000;

function newOwner(): string {
  return String(randomInt(1, 2 ** 47));
}

/**
 * A shell that a holder in the container keeps. When the way to it breaks it is looked for again, for as long as the container
 * runs, and goes on at the byte where it was, in both directions.
 */
export class HeldTerminal implements TerminalChannel {
  readonly ended: Promise<TerminalExit>;
  private settle: (exit: TerminalExit) => void = () => undefined;
  private connection: HolderConnection | null = null;
  private readonly input: InputQueue;
  private listener: ((chunk: Buffer) => void) | null = null;
  /** Came before anybody listened. */
  private early: Buffer[] = [];
  private received: number;
  /** Output may come up to here. */
  private allowed: number;
  /**
   * What the holder was told that was consumed. It sends no more than its window ahead of that: to let it come up to a position, less
   * is told, by the window, than that position.
   */
  private told: number;
  private readonly window: number;
  /** The answer that is due, to all who ask meanwhile. */
  private asked: PromiseWithResolvers<boolean | null> | null = null;
  /** At most so long before the next try to connect. */
  private wait = FIRST_RETRY_MS;
  private killed = false;
  private detached = false;
  private exit: TerminalExit | null = null;
  private over = false;
  private size: TerminalSize;
  private readonly toucher: NodeJS.Timeout;

  private constructor(
    readonly sessionId: string,
    /** By this the holder knows whether it may return, or another has attached meanwhile. */
    private readonly owner: string,
    private readonly options: HeldTerminalOptions,
    private readonly hello: Hello,
  ) {
    this.size = { cols: hello.cols, rows: hello.rows };
    this.ended = new Promise((resolve) => (this.settle = resolve));
    this.received = this.told = hello.from;
    this.allowed = hello.position;
    this.window = Math.min(WINDOW_BYTES, hello.ring);
    this.input = new InputQueue(hello.accepted, hello.taken);
    this.toucher = setInterval(() => this.tell(), TOUCH_MS).unref();
  }

  /** Begins a shell, or takes over the one of this name. @throws RuntimeError @see HolderConnection.open */
  static open(
    options: HeldTerminalOptions,
    { sessionId, cols, rows }: TerminalRequest,
    shell: readonly string[],
  ): Promise<HeldTerminal> {
    const { bufferBytes } = options;
    const owner = newOwner();
    const args = ['open', sessionId, owner, String(cols), String(rows), String(bufferBytes), String(WINDOW_BYTES), ...shell];
    return HeldTerminal.begin(sessionId, owner, options, args);
  }

  /** @throws RuntimeError `gone` where there is no such shell */
  static adopt(options: HeldTerminalOptions, sessionId: string): Promise<HeldTerminal> {
    const owner = newOwner();
    return HeldTerminal.begin(sessionId, owner, options, ['attach', sessionId, owner, '0', String(WINDOW_BYTES)]);
  }

  private static async begin(
    sessionId: string,
    owner: string,
    options: HeldTerminalOptions,
    args: readonly string[],
  ): Promise<HeldTerminal> {
    let terminal: HeldTerminal | null = null;
    const connection = await HolderConnection.open(options.run, args, {
      hello: (hello) => (terminal = new HeldTerminal(sessionId, owner, options, hello)),
      frame: (frame) => terminal?.take(frame),
    });
    const made = terminal as HeldTerminal | null;
    if (!made) throw new Error('A connection is open after its hello only');
    made.use(connection);
    return made;
  }

  get createdAt(): Date {
    return this.hello.createdAt;
  }

  get start(): number {
    return this.hello.from;
  }

  get kept(): number {
    return this.hello.position - this.hello.from;
  }

  get cols(): number {
    return this.size.cols;
  }

  get rows(): number {
    return this.size.rows;
  }

  get inputMarks(): ReadonlyMap<string, number> {
    return this.hello.marks;
  }

  attach(onOutput: (chunk: Buffer) => void): void {
    this.listener = onOutput;
    for (const chunk of this.early.splice(0)) onOutput(chunk);
    this.tellSome();
    if (this.exit) this.settle(this.exit);
  }

  allow(position: number): void {
    this.allowed = Math.max(this.allowed, position);
    this.tellSome();
  }

  write(bytes: Buffer, mark?: InputMark): Promise<void> {
    if (this.over || this.exit) return Promise.reject(new RuntimeError('gone', 'The shell has ended'));
    this.options.touch();
    const written = this.input.add(bytes, mark);
    this.pump();
    return written;
  }

  resize({ cols, rows }: TerminalSize): Promise<void> {
    if (cols !== this.size.cols || rows !== this.size.rows) {
      this.size = { cols, rows };
      this.connection?.send(sizeFrame(cols, rows));
    }
    return Promise.resolve();
  }

  /** Asks again over each new way, until it has ended. */
  kill(): Promise<void> {
    if (!this.over) this.killed = true;
    if (this.connection) this.hangUp(this.connection);
    return Promise.resolve();
  }

  detach(): void {
    this.detached = true;
    this.listener = null;
    this.allowed = Infinity;
    this.tell();
    this.leave();
  }

  foregroundBusy(): Promise<boolean | null> {
    const { connection } = this;
    if (!connection || this.exit) return Promise.resolve(this.exit ? false : null);
    if (!this.asked) {
      this.asked = Promise.withResolvers();
      connection.send(FOREGROUND_FRAME);
    }
    return Promise.race([this.asked.promise, this.options.clock.wait(ANSWER_MS).then(() => null)]);
  }

  private hangUp(connection: HolderConnection): void {
    connection.send(HANG_UP_FRAME);
    void this.options.clock.wait(HANG_UP_MS).then(() => {
      if (this.connection === connection) this.end(null);
    });
  }

  private answer(busy: boolean | null): void {
    this.asked?.resolve(busy);
    this.asked = null;
  }

  private take(frame: Exclude<HolderFrame, { readonly type: 'hello' }>): void {
    switch (frame.type) {
      case 'output':
        this.options.touch();
        this.received += frame.bytes.length;
        if (this.listener) this.listener(frame.bytes);
        else this.early.push(frame.bytes);
        this.tellSome();
        // A holder keeps to its window; what says otherwise is its user's, and is given neither the server's memory nor its time.
        if (!this.over && this.received - this.told > this.options.bufferBytes + 2 * WINDOW_BYTES) {
          this.leave();
          this.end(null);
        }
        return;
      case 'taken':
        this.input.took(frame.position);
        return this.pump();
      case 'foreground':
        return this.answer(frame.busy);
      case 'exit':
        return this.end(exitOf(frame.bySignal, frame.value));
      case 'replaced':
        // Another server has it; here it is over, and nothing more is known.
        return this.finish({ code: null, signal: null, reason: 'killed', elsewhere: true });
    }
  }

  private use(connection: HolderConnection): void {
    if (this.over || this.detached) return connection.close();
    this.connection = connection;
    const since = this.options.clock.millis();
    void connection.closed.then(() => {
      this.connection = null;
      this.answer(null);
      if (this.options.clock.millis() - since > LONGEST_RETRY_MS) this.wait = FIRST_RETRY_MS;
      void this.reconnect();
    });
    this.pump();
  }

  private async reconnect(): Promise<void> {
    const { clock, run } = this.options;
    while (!this.over && !this.detached) {
      // By chance: the shells of a cluster lose their ways all at once.
      await clock.wait(Math.random() * this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST_RETRY_MS);
      if (this.over || this.detached) return;
      try {
        const args = ['return', this.sessionId, this.owner, String(this.received), String(WINDOW_BYTES)];
        const connection = await HolderConnection.open(run, args, {
          hello: (hello) => this.welcome(hello),
          frame: (frame) => this.take(frame),
        });
        connection.send(sizeFrame(this.cols, this.rows));
        this.use(connection);
        if (this.killed) this.hangUp(connection);
        return;
      } catch (error) {
        const kind = error instanceof RuntimeError ? error.kind : null;
        if (kind === 'gone' || (kind === 'refused' && this.killed)) return this.end(null);
      }
    }
  }

  private welcome({ from, accepted, taken }: Hello): void {
    // Its bytes or its input have moved on without this server.
    if (from !== this.received || !this.input.resume(accepted, taken))
      this.finish({ code: null, signal: null, reason: 'killed', elsewhere: true });
    this.told = this.received; // for a holder what went before a connection is consumed
  }

  private pump(): void {
    const { connection } = this;
    if (connection) for (const frame of this.input.due()) connection.send(frame);
  }

  /** @param own the shell's own word; null where it left none */
  private end(own: TerminalExit | null): void {
    if (this.over) return;
    this.over = true;
    this.input.fail();
    if (this.killed) return this.finish({ code: null, signal: 'SIGHUP', reason: 'killed' });
    void this.options.explain(own).then((exit) => this.finish(exit));
  }

  private finish(exit: TerminalExit): void {
    this.over = true;
    this.exit ??= exit;
    this.input.fail();
    this.leave();
    if (this.listener) this.settle(this.exit);
  }

  private leave(): void {
    clearInterval(this.toucher);
    this.connection?.close();
  }

  /** Not for every byte: when it is worth a word, or waited for. */
  private tellSome(): void {
    const news = this.due - this.told;
    const waits = this.received >= this.told + this.window;
    if (this.listener && news > 0 && (waits || news >= this.window / WORDS)) this.tell();
  }

  private get due(): number {
    return Math.max(this.told, Math.min(this.allowed - this.window, this.received));
  }

  private tell(): void {
    this.told = this.due;
    this.connection?.send(consumedFrame(this.told));
  }
}
