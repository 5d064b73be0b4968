import { imageReason } from '@devpocket/container-runtime';
import { type Phase, type Sighting, type StatusReason } from '@devpocket/runtime';
import { type Claim, type ContainerStatus, type KubeEvent, type Pod } from './kube-objects';
import { incarnationOf, NOT_GROWN, STARTUP_CONTAINER, STARTUP_DONE } from './names';
import { bytesOf } from './quantity';

/** What the API shows of one environment. */
export interface Traces {
  readonly pods: readonly Pod[];
  readonly claim: Claim | null;
  /** Of its pods and its claim. */
  readonly events: readonly KubeEvent[];
}

interface Trouble {
  readonly reason: StatusReason;
  readonly message: string;
  readonly retryable: boolean;
}

/** What passes by itself is given this long: nodes are added, volumes are made, registries come back. */
export const GRACE_MS = { unschedulable: 60_000, volume: 60_000, pull: 15_000, mount: 60_000, config: 10_000, ending: 60_000 };

const PROGRESS: Readonly<Record<Phase, number>> = {
  queued: 5,
  creating_volume: 15,
  pulling_image: 30,
  starting_container: 60,
  running_startup: 80,
  ready: 100,
};

/** Of an installation that was interrupted the newest incarnation counts; an older one beside it is on its way out. */
export function sightOf({ pods, claim, events }: Traces, now: Date): Sighting {
  const [pod] = [...pods].sort((a, b) => incarnationOf(b) - incarnationOf(a));
  if (!pod) {
    if (!claim) return { seen: 'absent' };
    const incarnation = incarnationOf(claim);
    if (claim.metadata?.deletionTimestamp !== undefined) return { seen: 'stopping', incarnation };
    return { seen: 'stopped', incarnation, reason: null, message: null };
  }
  const incarnation = incarnationOf(pod);
  const lost = nodeLost(pod, now);
  if (lost) return { seen: 'failed', incarnation, ...lost };
  if (pod.metadata?.deletionTimestamp !== undefined) return { seen: 'stopping', incarnation };
  const trouble = ended(pod) ?? blocked(pod, claim, events, now);
  if (trouble) return { seen: 'failed', incarnation, ...trouble };
  if (mainOf(pod)?.state?.running) {
    const volumeFailed = claim && growthFailure(claim, events, ageOf(pod, now));
    return { seen: 'running', incarnation, startupFailed: startupFailure(pod, claim), volumeFailed };
  }
  const phase = phaseOf(pod, claim, events);
  return { seen: 'starting', incarnation, phase, progress: PROGRESS[phase] };
}

/** May a forced removal be right: does nothing on its node answer for it any more? */
export function isAbandoned(pod: Pod, now: Date): boolean {
  return nodeLost(pod, now) !== null || overdueMs(pod, now) > GRACE_MS.ending;
}

export function mainOf(pod: Pod): ContainerStatus | null {
  return pod.status?.containerStatuses?.[0] ?? null;
}

export function startupOf(pod: Pod): ContainerStatus | null {
  return pod.status?.initContainerStatuses?.find(({ name }) => name === STARTUP_CONTAINER) ?? null;
}

function startupFailure(pod: Pod, claim: Claim | null): string | null {
  return startupOf(pod)?.state?.terminated?.message || claim?.metadata?.annotations?.[STARTUP_DONE] || null;
}

/** Why the volume is smaller than it should be. What the class does not refuse at once is done by others, later or never. */
function growthFailure({ metadata, spec, status }: Claim, events: readonly KubeEvent[], age: number): string | null {
  const refused = metadata?.annotations?.[NOT_GROWN];
  if (refused !== undefined) return `The volume could not grow: ${refused}`;
  const capacity = status?.capacity?.storage;
  if (capacity === undefined || bytesOf(capacity) >= bytesOf(spec?.resources?.requests?.storage)) return null;
  const failed = lastEvent(events, /ResizeFailed$/)?.message;
  if (failed !== undefined) return `The volume has not grown: ${failed}`;
  if (age < GRACE_MS.volume) return null;
  const pending = status?.conditions?.find(({ type, status: is }) => type.includes('Resiz') && is === 'True');
  return `The volume has not grown yet: ${pending?.message || 'nothing has told why'}`;
}

function phaseOf(pod: Pod, claim: Claim | null, events: readonly KubeEvent[]): Phase {
  const startup = startupOf(pod);
  if (startup?.state?.running ?? startup?.state?.terminated) return 'running_startup';
  if (claim?.status?.phase !== 'Bound') return conditionOf(pod, 'PodScheduled')?.status === 'True' ? 'creating_volume' : 'queued';
  if (conditionOf(pod, 'PodScheduled')?.status !== 'True') return 'queued';
  const own = events.filter(({ involvedObject }) => involvedObject?.uid === pod.metadata?.uid);
  const pulls = (reason: string): boolean => own.some((event) => event.reason === reason);
  return pulls('Pulling') && !pulls('Pulled') ? 'pulling_image' : 'starting_container';
}

/** It ran, or tried to, and nothing of it runs any more. */
function ended(pod: Pod): Trouble | null {
  const { status } = pod;
  const told = status?.message ?? '';
  if (status?.reason === 'Evicted')
    return { reason: 'evicted', message: told || 'The node was short of resources', retryable: true };
  const disruption = conditionOf(pod, 'DisruptionTarget');
  const over = status?.phase === 'Failed' || status?.phase === 'Succeeded';
  if (over && (disruption || /^(Preempting|NodeShutdown|Terminated|Shutdown)$/.test(status.reason ?? '')))
    return { reason: 'evicted', message: disruption?.message ?? (told || 'Its node asked it to leave'), retryable: true };
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const crash = crashOf(container);
    if (crash) return crash;
  }
  if (!over) return null;
  // Admitted to no node (`OutOfcpu`, `NodeAffinity`), or the node forgot it.
  return { reason: 'internal', message: told || status.reason || 'The pod ended without a container', retryable: true };
}

function crashOf({ name, state, lastState }: ContainerStatus): Trouble | null {
  const looping = state?.waiting?.reason === 'CrashLoopBackOff';
  const terminated = state?.terminated ?? (looping ? lastState?.terminated : undefined);
  if (looping && !terminated)
    return { reason: 'crash_loop', message: state.waiting?.message ?? 'The container ends again and again', retryable: true };
  if (!terminated || (name === STARTUP_CONTAINER && terminated.exitCode === 0)) return null;
  const { exitCode, reason, message } = terminated;
  switch (reason) {
    case 'OOMKilled':
      return { reason: 'out_of_memory', message: 'The container used more memory than its limit', retryable: true };
    case 'StartError':
    case 'ContainerCannotRun':
    case 'RunContainerError':
      return { reason: 'crash_loop', message: `The container cannot start: ${message ?? reason}`, retryable: false };
    case 'ContainerStatusUnknown':
      return { reason: 'node_lost', message: message || 'Its node lost sight of the container', retryable: true };
    default:
      return { reason: 'crash_loop', message: `The container ended by itself with code ${exitCode}`, retryable: true };
  }
}

/** Its node does not answer, and the cluster has given it up. */
function nodeLost(pod: Pod, now: Date): Trouble | null {
  const { status } = pod;
  const disruption = conditionOf(pod, 'DisruptionTarget')?.reason ?? '';
  const given =
    status?.reason === 'NodeLost' ||
    ((disruption === 'DeletionByTaintManager' || disruption === 'DeletionByPodGC') && overdueMs(pod, now) > 0);
  if (!given) return null;
  return { reason: 'node_lost', message: status?.message ?? 'The node that it ran on does not answer', retryable: true };
}

function ageOf({ metadata }: Pod, now: Date): number {
  return now.getTime() - Date.parse(metadata?.creationTimestamp ?? now.toISOString());
}

/** How long ago a pod that was told to end should have ended; negative: it has time yet. */
function overdueMs(pod: Pod, now: Date): number {
  const { deletionTimestamp } = pod.metadata ?? {};
  return deletionTimestamp === undefined ? -Infinity : now.getTime() - Date.parse(deletionTimestamp);
}

/** It waits for something that does not come. */
function blocked(pod: Pod, claim: Claim | null, events: readonly KubeEvent[], now: Date): Trouble | null {
  const age = ageOf(pod, now);
  return waitsForNode(pod, claim, events, age) ?? waitsForImage(pod, events, age) ?? waitsForMount(pod, events, now, age);
}

function waitsForNode(pod: Pod, claim: Claim | null, events: readonly KubeEvent[], age: number): Trouble | null {
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status !== 'False') return null;
  const message = scheduled.message ?? 'No node takes it';
  if (claim?.status?.phase === 'Lost')
    return { reason: 'volume_failed', message: 'The volume behind the claim is lost', retryable: false };
  const onVolume = /persistentvolumeclaim|volume/i.test(message) && claim?.status?.phase !== 'Bound';
  if (onVolume && age >= GRACE_MS.volume) {
    const told = lastEvent(events, /^(ProvisioningFailed|FailedBinding|VolumeFailed)$/)?.message;
    return { reason: 'volume_failed', message: told ?? message, retryable: true };
  }
  return !onVolume && age >= GRACE_MS.unschedulable ? { reason: 'unschedulable', message, retryable: true } : null;
}

function waitsForImage(pod: Pod, events: readonly KubeEvent[], age: number): Trouble | null {
  const waiting = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].find(
    ({ state }) => state?.waiting,
  )?.state?.waiting;
  if (!waiting?.reason) return null;
  const message = waiting.message ?? waiting.reason;
  switch (waiting.reason) {
    case 'InvalidImageName':
      return { reason: 'image_not_found', message, retryable: false };
    case 'ErrImageNeverPull':
      return { reason: 'image_not_found', message, retryable: false };
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'RegistryUnavailable': {
      // In back-off the state says only that; the event says why.
      const why = lastEvent(events, /^Failed$/, /failed to pull/i)?.message;
      const reason = imageReason(`${message} ${why ?? ''}`);
      if (reason === 'image_pull_failed' && age < GRACE_MS.pull) return null;
      return { reason, message: why ?? message, retryable: reason === 'image_pull_failed' };
    }
    case 'CreateContainerConfigError':
    case 'CreateContainerError':
      return age < GRACE_MS.config ? null : { reason: 'internal', message, retryable: true };
    default:
      return null;
  }
}

function waitsForMount(pod: Pod, events: readonly KubeEvent[], now: Date, age: number): Trouble | null {
  const begun = [mainOf(pod), startupOf(pod)].some((container) => container?.state?.running ?? container?.state?.terminated);
  if (age < GRACE_MS.mount || begun) return null;
  const own = events.filter(({ involvedObject }) => involvedObject?.uid === pod.metadata?.uid);
  const mount = lastEvent(own, /^(FailedMount|FailedAttachVolume|FailedMapVolume)$/);
  const recent = mount && now.getTime() - Date.parse(mount.lastTimestamp ?? mount.eventTime ?? '') < 3 * GRACE_MS.mount;
  return recent ? { reason: 'volume_failed', message: mount.message ?? 'The volume cannot be mounted', retryable: true } : null;
}

function lastEvent(events: readonly KubeEvent[], reason: RegExp, text = /(?:)/): KubeEvent | null {
  const timeOf = (event: KubeEvent): number => Date.parse(event.lastTimestamp ?? event.eventTime ?? '') || 0;
  const fitting = events.filter((event) => reason.test(event.reason ?? '') && text.test(event.message ?? ''));
  return fitting.sort((a, b) => timeOf(a) - timeOf(b)).at(-1) ?? null;
}

function conditionOf(
  pod: Pod,
  type: string,
): { readonly status: string; readonly reason?: string; readonly message?: string } | null {
  return pod.status?.conditions?.find((condition) => condition.type === type) ?? null;
}
