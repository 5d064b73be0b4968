export type RuntimeKind = 'local' | 'docker' | 'kubernetes';

/** The closed list of the contract, §4. */
export const STATUS_REASONS = [
  'image_not_found',
  'image_auth_failed',
  'image_pull_failed',
  'unschedulable',
  'volume_failed',
  'volume_full',
  'start_timeout',
  'stop_timeout',
  'delete_failed',
  'startup_failed',
  'crash_loop',
  'out_of_memory',
  'evicted',
  'node_lost',
  'runtime_unreachable',
  'runtime_state_lost',
  'quota_exceeded',
  'idle',
  'max_lifetime',
  'user',
  'internal',
] as const;
export type StatusReason = (typeof STATUS_REASONS)[number];

export const PHASES = ['queued', 'pulling_image', 'creating_volume', 'starting_container', 'running_startup', 'ready'] as const;
export type Phase = (typeof PHASES)[number];

/** Where an environment is: enough to find it, nothing about how it should be. */
export interface Place {
  readonly environmentId: string;
  readonly userId: string;
  /** Null on `local` and `docker`. */
  readonly clusterId: string | null;
}

/** Something of ours that a runtime holds. */
export interface Held extends Place {
  /** The mark of the installation that made it; null when it is not readable. */
  readonly install: string | null;
}

/** Limits as plain numbers: thousandths of a core, bytes, bytes. */
export interface ResourceLimits {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
}

/** What its user may have at once, for a runtime that can hold to it by itself: a second line behind the plan's limits. */
export interface UserQuota {
  /** Environments that run. */
  readonly active: number;
  /** Environments in all. */
  readonly kept: number;
  /** The most that one of them may have. */
  readonly each: ResourceLimits;
}

/** How one incarnation of an environment should run. Plain values: a driver knows no entity. */
export interface EnvironmentSpec extends Place {
  /** Of the installation that it belongs to; the runtime keeps it as a mark. */
  readonly install: string;
  /** Grows by one with each start; a driver acts on the incarnation it is told and on no other. */
  readonly incarnation: number;
  readonly name: string;
  readonly image: string;
  readonly defaultPort: number | null;
  readonly resources: ResourceLimits;
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** Run once in the life of the environment, at its first start; their output goes to the logs with source `startup`. */
  readonly startupCommands: readonly string[];
  readonly quota: UserQuota;
  /** The image's own files cannot be written to, where the runtime can see to that; `/workspace` and `/tmp` can. */
  readonly readOnlyRoot: boolean;
  /** True while the installation has a single account (the local runtime's `host` network depends on it). */
  readonly soleUser: boolean;
}

/** What the runtime shows of an environment. Reading it changes nothing. */
export type Sighting =
  /** No trace of it: neither processes nor volume. */
  | { readonly seen: 'absent' }
  /** The volume is there, nothing runs. `reason` tells why it ended when nobody asked for it. */
  | {
      readonly seen: 'stopped';
      readonly incarnation: number;
      readonly reason: StatusReason | null;
      readonly message: string | null;
    }
  | { readonly seen: 'starting'; readonly incarnation: number; readonly phase: Phase; readonly progress: number }
  | {
      readonly seen: 'running';
      readonly incarnation: number;
      readonly startupFailed: string | null;
      /** Why its volume is smaller than it should be. */
      readonly volumeFailed?: string | null;
    }
  | { readonly seen: 'stopping'; readonly incarnation: number }
  /** It will not become running by itself. */
  | {
      readonly seen: 'failed';
      readonly incarnation: number;
      readonly reason: StatusReason;
      readonly message: string;
      readonly retryable: boolean;
    };
export type Seen = Sighting['seen'];

export interface Usage {
  /** Thousandths of a core, averaged since the last reading. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly storageBytes: number | null;
  /** Bytes since the start of the incarnation; null where the runtime cannot tell. */
  readonly networkRx: number | null;
  readonly networkTx: number | null;
}

export type LogSource = 'system' | 'startup' | 'container';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogEntry {
  readonly type: 'log';
  readonly timestamp: Date;
  readonly level: LogLevel;
  /** One line without its end, at most 16 KiB of UTF-8; longer ones are cut with `truncated`. */
  readonly message: string;
  readonly truncated: boolean;
  readonly source: LogSource;
  /** Opaque, 1–128 visible ASCII; `after` this cursor the next line follows. */
  readonly cursor: string;
}

/**
 * `caught_up` comes once, after the last line that existed when the stream began; `restarted` with each new incarnation that comes
 * while the stream goes on, also behind a cursor of an older one.
 */
export type LogEvent = LogEntry | { readonly type: 'caught_up' } | { readonly type: 'restarted' };

export interface LogQuery {
  /** 1–1000: the last so many lines, or with `after` the first so many behind it (when not following). */
  readonly lines: number;
  readonly since: Date | null;
  readonly after: string | null;
  readonly follow: boolean;
}

export type TerminalExitReason = 'exited' | 'killed' | 'environment_stopped' | 'out_of_memory';

export interface TerminalExit {
  readonly code: number | null;
  /** Signal name such as `SIGKILL`, or null. */
  readonly signal: string | null;
  readonly reason: TerminalExitReason;
  /** Another server took the shell over: it goes on there, and nothing is known of its end. */
  readonly elsewhere?: true;
}

export interface TerminalSize {
  /** 1–1000 */
  readonly cols: number;
  /** 1–1000 */
  readonly rows: number;
}

export interface TerminalRequest extends TerminalSize {
  readonly sessionId: string;
}

/** A terminal that outlived the server that opened it. */
export interface TerminalRecord extends TerminalSize {
  readonly sessionId: string;
  readonly createdAt: Date;
  /** Raw PTY bytes so far. */
  readonly position: number;
  readonly exit: TerminalExit | null;
  readonly endedAt: Date | null;
}

/** Where in a client's numbered input a write ends: `seq` is the client's count of input bytes, these included. */
export interface InputMark {
  readonly clientId: string;
  readonly seq: number;
  /**
   * How much a write counts, if not its bytes: a key is one, whatever it is encoded as, and is taken when all of it is. Who gives it
   * drops what was taken before.
   */
  readonly span?: number | undefined;
}

/** The client's count when `taken` of a write's `length` bytes are taken. */
export function countAfter({ seq, span }: InputMark, taken: number, length: number): number {
  if (taken === length) return seq;
  return span === undefined ? seq - (length - taken) : seq - span;
}

export interface RuntimeReport {
  readonly kind: RuntimeKind;
  /** One sentence for the start-up line: what it is and why it was chosen so. */
  readonly summary: string;
  /** Things the operator must know, loudest first. */
  readonly warnings: readonly string[];
  /** May more than one account use it? An unsandboxed local runtime may not. */
  readonly multiUser: boolean;
  /** May the server listen on other than loopback? */
  readonly exposable: boolean;
}
