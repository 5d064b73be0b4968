import { type Seen, type Sighting } from '@devpocket/runtime';
import { type Environment, type Failure, type Observed, type Shown, type Status, type Wanted } from './environment';
import { isFull } from './resource-alert.policy';

/** What is wanted, with a generation that was given up told apart: its processes are to end, and only a request leaves it. */
export type Aim = 'running' | 'ended' | 'stopped' | 'deleted';
/** What is seen, with an incarnation that is not the wanted one told apart. */
export type Sight = Seen | 'outdated' | 'lost';
export type Step = 'settle' | 'wait' | 'start' | 'stop' | 'destroy' | 'forget' | 'fail';

/** Every cell: a new aim or sight does not compile until all are decided. */
export const STEPS: Readonly<Record<Aim, Readonly<Record<Sight, Step>>>> = {
  running: {
    absent: 'start',
    stopped: 'start',
    starting: 'wait',
    running: 'settle',
    stopping: 'wait',
    failed: 'fail',
    outdated: 'stop',
    lost: 'fail',
  },
  ended: {
    absent: 'settle',
    stopped: 'settle',
    starting: 'stop',
    running: 'stop',
    stopping: 'wait',
    failed: 'stop',
    outdated: 'stop',
    lost: 'settle',
  },
  stopped: {
    absent: 'settle',
    stopped: 'settle',
    starting: 'stop',
    running: 'stop',
    stopping: 'wait',
    failed: 'stop',
    outdated: 'stop',
    lost: 'settle',
  },
  deleted: {
    absent: 'forget',
    stopped: 'destroy',
    starting: 'destroy',
    running: 'destroy',
    stopping: 'destroy',
    failed: 'destroy',
    outdated: 'destroy',
    lost: 'forget',
  },
};

export function aimOf(wanted: Wanted, observed: Observed): Aim {
  return wanted.desired === 'running' && observed.failure?.generation === wanted.generation ? 'ended' : wanted.desired;
}

/** May something of it run? */
export function isAlive(seen: Seen): boolean {
  return seen !== 'absent' && seen !== 'stopped';
}

/** Of a generation that was begun nothing is left: it ended by itself. Of an older one something still lives. */
export function sightOf(sighting: Sighting, wanted: Wanted, observed: Observed): Sight {
  const incarnation = sighting.seen === 'absent' ? 0 : sighting.incarnation;
  const begun = observed.begun === wanted.generation;
  if (sighting.seen === 'absent') return begun ? 'lost' : 'absent';
  if (sighting.seen === 'stopped') return begun && incarnation === wanted.generation ? 'lost' : 'stopped';
  if (sighting.seen === 'stopping') return 'stopping';
  return incarnation === wanted.generation ? sighting.seen : 'outdated';
}

/** `lost` matters to one that should run; what should not run has simply stopped. */
export function decide(sighting: Sighting, wanted: Wanted, observed: Observed): Step {
  const aim = aimOf(wanted, observed);
  const sight = sightOf(sighting, wanted, observed);
  if (aim === 'deleted' && sight === 'lost' && sighting.seen !== 'absent') return 'destroy';
  return STEPS[aim][sight];
}

/** The sighting taken into what was seen before. `progress` never falls within a generation. @param storagePercent as it was read last */
export function observe(before: Observed, sighting: Sighting, wanted: Wanted, storagePercent: number | null = null): Observed {
  const incarnation = sighting.seen === 'absent' ? 0 : sighting.incarnation;
  const current = incarnation === wanted.generation;
  const running = current && sighting.seen === 'running';
  const starting = current && sighting.seen === 'starting';
  const further = starting && sighting.progress >= before.progress;
  return {
    ...before,
    seen: sighting.seen,
    incarnation,
    phase: running ? 'ready' : further ? sighting.phase : before.phase,
    progress: running ? 100 : further ? sighting.progress : before.progress,
    begun: current && isAlive(sighting.seen) ? wanted.generation : before.begun,
    ranOnce: before.ranOnce || running,
    startupFailed: running ? sighting.startupFailed : null,
    volumeFailed: running ? (sighting.volumeFailed ?? null) : null,
    volumeFull: running && isFull(storagePercent, before.volumeFull ?? false),
    unreachableSince: null,
    overdue: null,
  };
}

/** Why a generation is given up, from a sighting that `decide` answered with `fail`. */
export function failureOf(sighting: Sighting, wanted: Wanted): Failure {
  const { generation } = wanted;
  if (sighting.seen === 'failed')
    return { generation, reason: sighting.reason, message: sighting.message, retryable: sighting.retryable };
  const told = sighting.seen === 'stopped' ? sighting : null;
  return {
    generation,
    reason: told?.reason ?? 'runtime_state_lost',
    message: told?.message ?? 'Its processes ended without being asked to',
    retryable: true,
  };
}

/** The status that clients see: one pure function of both halves. */
export function show(wanted: Wanted, observed: Observed): Shown {
  const status = statusOf(wanted, observed);
  const { failure } = observed;
  const base = { status, phase: null, progress: null, reason: null, message: null, retryable: false };
  const trouble = observed.unreachableSince
    ? { reason: 'runtime_unreachable' as const, message: 'The runtime does not answer; nothing is known to have changed' }
    : null;
  // Its volume outlives every stop, so there must be one.
  const lost =
    observed.ranOnce && observed.seen === 'absent'
      ? { reason: 'runtime_state_lost' as const, message: 'Its volume is gone; a start begins anew' }
      : null;
  switch (status) {
    case 'error':
      return failure
        ? { ...base, reason: failure.reason, message: failure.message, retryable: failure.retryable, ...lost, ...trouble }
        : { ...base, reason: 'internal' };
    case 'creating':
    case 'starting':
      return { ...base, phase: observed.phase, progress: observed.progress, ...trouble };
    case 'running': {
      const { startupFailed, volumeFailed } = observed;
      const volumeFull = observed.volumeFull ? 'Its volume is full: nothing more can be written' : null;
      const reason = startupFailed ? 'startup_failed' : volumeFull ? 'volume_full' : volumeFailed ? 'volume_failed' : null;
      const message = [startupFailed, volumeFull, volumeFailed].filter(Boolean).join('; ') || null;
      return { ...base, phase: 'ready', progress: 100, reason, message, ...trouble };
    }
    case 'stopping':
    case 'deleting':
      return { ...base, reason: observed.overdue ?? (isEndedByOthers(wanted, observed) ? null : wanted.why), ...trouble };
    case 'stopped':
      return { ...base, reason: wanted.why, ...lost, ...trouble };
  }
}

/** What should run is on its way out. */
function isEndedByOthers({ desired, generation }: Wanted, { seen, incarnation }: Observed): boolean {
  return desired === 'running' && seen === 'stopping' && incarnation === generation;
}

function statusOf(wanted: Wanted, observed: Observed): Status {
  const alive = isAlive(observed.seen);
  switch (aimOf(wanted, observed)) {
    case 'deleted':
      return 'deleting';
    case 'ended':
      return 'error';
    case 'stopped':
      return alive ? 'stopping' : 'stopped';
    case 'running':
      if (alive && (observed.incarnation !== wanted.generation || isEndedByOthers(wanted, observed))) return 'stopping';
      if (observed.seen === 'running') return 'running';
      return observed.ranOnce ? 'starting' : 'creating';
  }
}

/** Active environments hold a place of the plan's `active`. */
export function isActive(status: Status): boolean {
  return status !== 'stopped' && status !== 'error' && status !== 'deleting';
}

export const NOTHING_SEEN: Observed = {
  seen: 'absent',
  incarnation: 0,
  phase: 'queued',
  progress: 0,
  begun: 0,
  ranOnce: false,
  failure: null,
  startupFailed: null,
  volumeFailed: null,
  unreachableSince: null,
  overdue: null,
};

/** What a new wish makes of what was seen: the count of phase and progress begins anew with a generation. */
export function withWish(
  environment: Pick<Environment, 'wanted' | 'observed'>,
  wish: Wanted,
): { readonly wanted: Wanted; readonly observed: Observed; readonly shown: Shown } {
  const fresh = wish.generation !== environment.wanted.generation;
  const { seen } = environment.observed;
  // A start may be under way that was not recorded yet: it counts as stopping until a look has shown that nothing runs.
  const stops = wish.desired === 'stopped' && aimOf(environment.wanted, environment.observed) === 'running' && !isAlive(seen);
  const observed: Observed = {
    ...environment.observed,
    overdue: null,
    ...(fresh ? { phase: 'queued' as const, progress: 0 } : {}),
    ...(stops ? { seen: 'stopping' as const, incarnation: wish.generation } : {}),
  };
  return { wanted: wish, observed, shown: show(wish, observed) };
}
