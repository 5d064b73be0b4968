import {
  type EnvironmentSpec,
  type Held,
  type InputMark,
  type LogEvent,
  type LogQuery,
  type Place,
  type RuntimeKind,
  type RuntimeReport,
  type Sighting,
  type TerminalExit,
  type TerminalRecord,
  type TerminalRequest,
  type TerminalSize,
  type Usage,
} from './types';

/**
 * One shell under a PTY. The driver moves bytes; buffering for clients, cursors and the rest of the session are the terminal
 * library's. Output is handed over strictly in order and without loss from `start` on.
 */
export interface TerminalChannel extends TerminalSize {
  readonly sessionId: string;
  readonly createdAt: Date;
  /** Raw PTY bytes before the first byte that `attach` hands over: 0 for a new shell, more where an adopted one's kept output begins. */
  readonly start: number;
  /** Bytes from `start` that were kept and come first when attached: history, not news. */
  readonly kept: number;
  /** Highest input `seq` taken per client id; empty for a new shell. */
  readonly inputMarks: ReadonlyMap<string, number>;
  /** Settles once, after the last output: the shell's end. Never rejects. */
  readonly ended: Promise<TerminalExit>;

  /** Begins the flow of output to `onOutput`, with what was kept. Call once. */
  attach(onOutput: (chunk: Buffer) => void): void;
  /**
   * Lets output come up to a position (of raw PTY bytes); behind it, or not much later, the PTY is not read, so that the shell blocks
   * when its buffer is full. What was kept comes without; what was allowed is not taken back; the shell's end lifts it.
   */
  allow(position: number): void;
  /**
   * Writes input, whole and in order with other writes; resolves when the PTY took the last byte, however long a slow reader
   * takes. With a mark, bytes at or below the client's mark were taken before and are dropped (the write is idempotent), and the
   * mark moves with the bytes, even over a crash of the server where the runtime's terminals survive it.
   * @throws RuntimeError `gone` when the shell has ended.
   */
  write(bytes: Buffer, mark?: InputMark): Promise<void>;
  /** The same size twice sends no second SIGWINCH. */
  resize(size: TerminalSize): Promise<void>;
  /** Ends the shell: SIGHUP to its process group, SIGKILL a little later. Resolves when asked; `ended` tells the rest. */
  kill(): Promise<void>;
  /** Leaves the shell running for a later `adoptTerminal`, where the runtime can; nothing is handed over any more. */
  detach(): void;
  /** Is the PTY's foreground process group another than the shell's? Null where the runtime cannot tell. */
  foregroundBusy(): Promise<boolean | null>;
}

/**
 * A process beside the server that holds its runtime's shells and can hold their sessions too: then nothing lies between a client's
 * connection and the PTY. The server judges who may have which; what is to be done it says by messages, which mean nothing to the runtime.
 */
export interface SessionProcess {
  /** Messages are begun in the order of the calls. @returns the answer, as JSON has it @throws RuntimeError `unreachable | refused` */
  call(message: object): Promise<unknown>;
  /**
   * Gives it what a descriptor of this process is open on; this process closes its own.
   * @returns the name by which messages speak of it @throws RuntimeError `unreachable`
   */
  give(descriptor: number): string;
  /** Called once. @param onMessage hears what it says by itself @param onLost hears that it is gone, with all that was given to it */
  listen(onMessage: (message: unknown) => void, onLost: () => void): void;
}

/**
 * A place where environments run. Every act is idempotent ("already so" is success), takes plain values, pins the
 * incarnation it was decided on, and fails with RuntimeError only.
 */
export abstract class RuntimeDriver {
  abstract readonly kind: RuntimeKind;
  /** True where shells survive the server (the local runtime's PTY host). */
  abstract readonly durableTerminals: boolean;

  /** Does it run environments in clusters, so that each has to be placed in one? */
  get inClusters(): boolean {
    return this.kind === 'kubernetes';
  }

  /** Where sessions of its shells can live beside the shells; null: they are the server's. Known when the driver is open. */
  sessionProcess(): SessionProcess | null {
    return null;
  }

  /** Brings the driver up; called once before anything else. */
  abstract open(): Promise<RuntimeReport>;

  /**
   * Lets go. `keepTerminals`: the server comes back soon, shells wait for it where they can; otherwise everything that the
   * driver started is ended and nothing is left behind.
   */
  abstract close(options: { readonly keepTerminals: boolean }): Promise<void>;

  /** Is the runtime answering? @throws RuntimeError `unreachable` */
  abstract check(signal: AbortSignal): Promise<void>;

  abstract look(place: Place): Promise<Sighting>;

  /**
   * Calls back with the id of an environment that may look otherwise than before, where the runtime tells by itself.
   * @returns ends it; null: the runtime tells nothing, and is looked at again and again
   */
  onChange(_listener: (environmentId: string) => void): (() => void) | null {
    return null;
  }

  /**
   * Begins to start the incarnation: volume, then container or processes, then (first start only) the startup commands.
   * Returns when begun; `look` tells how it goes on. An older incarnation still there is ended first.
   */
  abstract start(spec: EnvironmentSpec): Promise<void>;

  /**
   * Begins to stop the incarnation: SIGTERM, after `graceMs` SIGKILL, of every process. Keeps volume and logs. With `kill`,
   * SIGKILL at once. A newer incarnation than the one named is left alone.
   */
  abstract stop(
    place: Place,
    options: { readonly incarnation: number; readonly graceMs: number; readonly kill: boolean },
  ): Promise<void>;

  /** Removes processes, volume and logs. `look` is `absent` when it is done. */
  abstract destroy(place: Place): Promise<void>;

  /**
   * What the runtime holds of installations like this one, for the sweep of orphans. Parts of it that do not answer may be missing: what
   * is not listed is looked at before anything is concluded.
   */
  abstract list(): Promise<readonly Held[]>;

  /** Readings of those that run, in as few calls as the runtime allows; a missing key was not readable. */
  abstract usage(places: readonly Place[]): Promise<ReadonlyMap<string, Usage>>;

  /** Log lines, oldest first; of a stopped environment at least the last 1 MiB. Ends when not following, or when the signal aborts. */
  abstract logs(place: Place, query: LogQuery, signal: AbortSignal): AsyncIterable<LogEvent>;

  /** @throws RuntimeError `gone` when the environment does not run. */
  abstract openTerminal(place: Place, request: TerminalRequest): Promise<TerminalChannel>;

  /** Terminals that outlived the server which opened them, ended ones within their 10 minutes included. */
  abstract terminals(place: Place): Promise<readonly TerminalRecord[]>;

  /** Takes such a terminal over, from its kept output on. An ended one hands over its tail, then settles `ended`. @throws RuntimeError `gone` */
  abstract adoptTerminal(place: Place, sessionId: string): Promise<TerminalChannel>;
}
