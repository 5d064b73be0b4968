import { LABEL } from '@devpocket/container-runtime';
import { type ContainerState, type ContainerSummary } from './engine-objects';
import { PART, type Part, STARTUP } from './names';
import { type Knowledge, sightOf, type Traces } from './sight';

const ID = 'c'.repeat(24);
const NOTHING: Knowledge = { start: null, ending: new Set(), killed: new Map(), ran: 0, isPodman: false };

function container(
  state: string,
  incarnation = 2,
  part: Part = 'environment',
  name = `env-${ID}-${incarnation}`,
): ContainerSummary {
  const labels = { [LABEL.environment]: ID, [LABEL.incarnation]: String(incarnation), [PART]: part, [STARTUP]: '' };
  return { Id: `${part}${incarnation}`, Names: [`/${name}`], State: state, Labels: labels };
}

function ended(more: Partial<ContainerState>): ContainerState {
  return {
    Status: 'exited',
    Running: false,
    OOMKilled: false,
    ExitCode: 1,
    Error: '',
    StartedAt: '2026-11-26T00:00:00Z',
    FinishedAt: '2026-11-26T00:00:01Z',
    ...more,
  };
}

function see(traces: Partial<Traces>, known: Partial<Knowledge> = {}) {
  return sightOf({ containers: [], ended: null, volume: true, ...traces }, { ...NOTHING, ...known });
}

const START = { incarnation: 2, phase: 'pulling_image' as const, progress: 30, failure: null };

describe('what is seen of an environment on an engine', () => {
  it('is nothing without container and volume, and a stop with a volume alone', () => {
    expect(see({ volume: false })).toEqual({ seen: 'absent' });
    expect(see({})).toEqual({ seen: 'stopped', incarnation: 0, reason: null, message: null });
  });

  it('is the start that is under way here, until its container runs', () => {
    expect(see({}, { start: START })).toEqual({ seen: 'starting', incarnation: 2, phase: 'pulling_image', progress: 30 });
    expect(see({ containers: [container('created')] }, { start: START })).toMatchObject({ seen: 'starting' });
    expect(see({ containers: [container('exited', 1)] }, { start: START })).toMatchObject({ seen: 'starting', incarnation: 2 });
    expect(see({ containers: [container('running')] }, { start: START })).toMatchObject({ seen: 'running', incarnation: 2 });
  });

  it('is the failure of a start that was given up here', () => {
    const failure = { reason: 'image_not_found' as const, message: 'not found', retryable: false };
    expect(see({}, { start: { ...START, failure } })).toEqual({ seen: 'failed', incarnation: 2, ...failure });
  });

  it('asks for a start again that nobody goes on with: a container that was made and not started is none', () => {
    expect(see({ containers: [container('created'), container('exited', 0, 'startup')] })).toMatchObject({
      seen: 'stopped',
      incarnation: 0,
    });
  });

  it('waits for startup commands that another server began', () => {
    expect(see({ containers: [container('running', 1, 'startup')] })).toEqual({
      seen: 'starting',
      incarnation: 1,
      phase: 'running_startup',
      progress: 70,
    });
  });

  it('is a stop where it was told to end, and never a crash', () => {
    const stopped = container('exited', 2, 'environment', `env-${ID}-2-ended`);
    expect(see({ containers: [stopped], ended: ended({ ExitCode: 137 }) })).toMatchObject({ seen: 'stopped', incarnation: 2 });
    const running = container('running', 2, 'environment', `env-${ID}-2-ended`);
    expect(see({ containers: [running] }, { ending: new Set([running.Id]) })).toEqual({ seen: 'stopping', incarnation: 2 });
    expect(see({ containers: [stopped] }, { ending: new Set([stopped.Id]) })).toEqual({ seen: 'stopping', incarnation: 2 });
    // Whoever told it to end may be gone: it is told again.
    expect(see({ containers: [running] })).toMatchObject({ seen: 'running', incarnation: 2 });
  });

  it.each([
    ['its own end', ended({ ExitCode: 3 }), false, 'crash_loop'],
    ['a kill', ended({ ExitCode: 137 }), false, 'crash_loop'],
    ['memory', ended({ ExitCode: 137, OOMKilled: true }), false, 'out_of_memory'],
    ['memory, of which podman does not tell', ended({ ExitCode: 137 }), true, 'out_of_memory'],
    ['a request, though some process was out of memory before', ended({ ExitCode: 0, OOMKilled: true }), false, 'evicted'],
    ['the engine', ended({ ExitCode: 255 }), false, 'node_lost'],
  ])('is a failure by %s', (_what, state, isPodman, reason) => {
    expect(see({ containers: [container('exited')], ended: state }, { isPodman })).toMatchObject({
      seen: 'failed',
      incarnation: 2,
      reason,
      retryable: true,
    });
  });

  it('is the reason that it was ended for here', () => {
    const trouble = { reason: 'volume_full' as const, message: 'full', retryable: true };
    const killed = new Map([['environment2', trouble]]);
    const seen = see({ containers: [container('exited')], ended: ended({ ExitCode: 137 }) }, { killed });
    expect(seen).toMatchObject({ seen: 'failed', ...trouble });
  });

  it('is a stop of the incarnation that ran, where somebody else removed its container', () => {
    expect(see({}, { ran: 2 })).toMatchObject({ seen: 'stopped', incarnation: 2 });
  });
});
