import { type Phase, type Sighting, type StatusReason } from '@devpocket/runtime';
import { type ContainerState, type ContainerSummary } from './engine-objects';
import { incarnationOf, NOT_GROWN, partOf, STARTUP, wasToldToEnd } from './names';

/** What the engine shows of one environment. */
export interface Traces {
  readonly containers: readonly ContainerSummary[];
  /** Of the newest container that ran shells and ended. */
  readonly ended: ContainerState | null;
  readonly volume: boolean;
}

/** Why it will not become running by itself. */
export interface Trouble {
  readonly reason: StatusReason;
  readonly message: string;
  readonly retryable: boolean;
}

/** A start that is under way here, or was given up. */
export interface StartSight {
  readonly incarnation: number;
  readonly phase: Phase;
  readonly progress: number;
  readonly failure: Trouble | null;
}

/** What this process knows beside the engine. */
export interface Knowledge {
  readonly start: StartSight | null;
  /** Ids of containers that it is ending. */
  readonly ending: ReadonlySet<string>;
  /** Why it ended a container, by its id. */
  readonly killed: ReadonlyMap<string, Trouble>;
  /** The newest incarnation that ran as far as it saw: what is not there any more was removed by somebody else. */
  readonly ran: number;
  /** podman does not tell that memory was why. */
  readonly isPodman: boolean;
}

/** Both engines call a container so whose processes are there. */
const ALIVE = new Set(['running', 'paused', 'restarting']);
const KILLED = 137;
/** Docker's word for what it finds ended when it comes up itself. */
const ENGINE_WENT = 255;

export function isAlive({ State }: Pick<ContainerSummary, 'State'>): boolean {
  return ALIVE.has(State);
}

/** Made, and never started. */
export function isUnborn({ State }: Pick<ContainerSummary, 'State'>): boolean {
  return State === 'created' || State === 'initialized';
}

/** Those that run shells, the newest first. */
export function mainsOf(containers: readonly ContainerSummary[]): readonly ContainerSummary[] {
  return containers.filter((one) => partOf(one) === 'environment').sort((a, b) => incarnationOf(b) - incarnationOf(a));
}

export function startupOf(containers: readonly ContainerSummary[]): ContainerSummary | null {
  return containers.find((one) => partOf(one) === 'startup') ?? null;
}

export function sightOf({ containers, ended, volume }: Traces, known: Knowledge): Sighting {
  const mains = mainsOf(containers);
  // One that was made and not started is nothing yet: whoever begins the start again goes on with it.
  const main = mains.find((one) => !isUnborn(one)) ?? null;
  const incarnation = main ? incarnationOf(main) : 0;
  const { start } = known;
  if (start && start.incarnation >= incarnation && !(main && start.incarnation === incarnation && isAlive(main))) {
    const { incarnation: at, phase, progress, failure } = start;
    return failure ? { seen: 'failed', incarnation: at, ...failure } : { seen: 'starting', incarnation: at, phase, progress };
  }
  // Until its network has gone, too.
  if (main && known.ending.has(main.Id)) return { seen: 'stopping', incarnation };
  if (main && isAlive(main)) {
    const { [STARTUP]: startupFailed, [NOT_GROWN]: volumeFailed } = main.Labels ?? {};
    return { seen: 'running', incarnation, startupFailed: startupFailed || null, volumeFailed: volumeFailed || null };
  }
  if (main?.State === 'removing') return { seen: 'stopping', incarnation };
  // A start that another server began, or this one before it was started again: its commands are seen to their end first.
  const startup = startupOf(containers);
  if (startup && isAlive(startup))
    return { seen: 'starting', incarnation: incarnationOf(startup), phase: 'running_startup', progress: 70 };
  if (main && !wasToldToEnd(main)) {
    const trouble = known.killed.get(main.Id) ?? (ended && crashOf(ended, known.isPodman));
    if (trouble) return { seen: 'failed', incarnation, ...trouble };
  }
  if (!volume && containers.length === 0) return { seen: 'absent' };
  return { seen: 'stopped', incarnation: Math.max(incarnation, known.ran), reason: null, message: null };
}

function crashOf({ OOMKilled, ExitCode }: ContainerState, isPodman: boolean): Trouble {
  if (ExitCode === KILLED && OOMKilled)
    return { reason: 'out_of_memory', message: 'The container used more memory than its limit', retryable: true };
  if (ExitCode === KILLED && isPodman) {
    const message = 'The container used more memory than its limit, or somebody else killed it: Podman does not tell which';
    return { reason: 'out_of_memory', message, retryable: true };
  }
  if (ExitCode === ENGINE_WENT)
    return { reason: 'node_lost', message: 'The machine or its container engine went down', retryable: true };
  if (ExitCode === 0)
    return {
      reason: 'evicted',
      message: 'The container was asked to end by somebody else: the engine as it went down, an operator, or a program in it',
      retryable: true,
    };
  return { reason: 'crash_loop', message: `The container ended by itself with code ${ExitCode}`, retryable: true };
}
