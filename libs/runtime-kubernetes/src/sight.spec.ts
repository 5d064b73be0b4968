import { type Sighting } from '@devpocket/runtime';
import { type Claim, type KubeEvent, type Pod } from './kube-objects';
import { isAbandoned, sightOf, type Traces } from './sight';

const NOW = new Date('2026-11-25T12:10:00Z');
const ago = (seconds: number): string => new Date(NOW.getTime() - seconds * 1000).toISOString().replace('.000Z', 'Z');
const NAME = 'env-cccccccccccccccccccccccc-3';

type Status = NonNullable<Pod['status']>;

const pod = (status: Status, meta: Partial<NonNullable<Pod['metadata']>> = {}): Pod => ({
  metadata: {
    name: NAME,
    namespace: 'dp-a-b',
    uid: 'u3',
    labels: { 'devpocket.io/env': 'cccccccccccccccccccccccc', 'devpocket.io/incarnation': '3' },
    creationTimestamp: ago(5),
    ...meta,
  },
  status,
});
const claim = (phase: 'Pending' | 'Bound' | 'Lost', annotations: Record<string, string> = {}, deleted = false): Claim => ({
  metadata: {
    name: 'env-cccccccccccccccccccccccc',
    annotations: { 'devpocket.io/incarnation': '3', ...annotations },
    ...(deleted ? { deletionTimestamp: ago(1) } : {}),
  },
  status: { phase },
});
const event = (reason: string, message: string, seconds = 2, kind = 'Pod'): KubeEvent => ({
  type: 'Warning',
  reason,
  message,
  lastTimestamp: ago(seconds),
  involvedObject: { kind, name: NAME, uid: kind === 'Pod' ? 'u3' : 'c3' },
});
const SCHEDULED = { type: 'PodScheduled', status: 'True' };
const unscheduled = (message: string) => ({ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message });
const main = (state: object, lastState: object = {}) => ({ name: 'environment', restartCount: 0, state, lastState });
const startup = (state: object) => ({ name: 'startup', restartCount: 0, state });
const waiting = (reason: string, message?: string): Status => ({
  phase: 'Pending',
  conditions: [SCHEDULED],
  containerStatuses: [main({ waiting: { reason, ...(message === undefined ? {} : { message }) } })],
});
const terminated = (exitCode: number, reason: string, message?: string): Status => ({
  phase: exitCode === 0 ? 'Succeeded' : 'Failed',
  conditions: [SCHEDULED],
  containerStatuses: [
    main({ terminated: { exitCode, reason, startedAt: ago(4), finishedAt: ago(1), ...(message ? { message } : {}) } }),
  ],
});
const RUNNING: Status = {
  phase: 'Running',
  conditions: [SCHEDULED],
  containerStatuses: [main({ running: { startedAt: ago(2) } })],
};
const old = { creationTimestamp: ago(300) };

const seen = (traces: Partial<Traces>): Sighting => sightOf({ pods: [], claim: claim('Bound'), events: [], ...traces }, NOW);
const failed = (reason: string, message: unknown, retryable = true): object => ({
  seen: 'failed',
  incarnation: 3,
  reason,
  message,
  retryable,
});
const starting = (phase: string, progress: number): object => ({ seen: 'starting', incarnation: 3, phase, progress });

describe('what is seen where nothing runs', () => {
  it('is nothing, a volume, or a volume that goes', () => {
    expect(seen({ claim: null })).toEqual({ seen: 'absent' });
    expect(seen({})).toEqual({ seen: 'stopped', incarnation: 3, reason: null, message: null });
    expect(seen({ claim: claim('Pending') })).toEqual({ seen: 'stopped', incarnation: 3, reason: null, message: null });
    expect(seen({ claim: claim('Bound', {}, true) })).toEqual({ seen: 'stopping', incarnation: 3 });
  });
});

describe('what is seen of a pod that starts', () => {
  it.each<[string, Status, Claim, KubeEvent[], object]>([
    ['not yet looked at', { phase: 'Pending' }, claim('Pending'), [], starting('queued', 5)],
    [
      'on a node, its volume being made',
      { phase: 'Pending', conditions: [SCHEDULED] },
      claim('Pending'),
      [],
      starting('creating_volume', 15),
    ],
    [
      'waiting for a node',
      { phase: 'Pending', conditions: [unscheduled('0/1 nodes are available')] },
      claim('Bound'),
      [],
      starting('queued', 5),
    ],
    [
      'its image being pulled',
      waiting('ContainerCreating'),
      claim('Bound'),
      [event('Pulling', 'Pulling image "x"')],
      starting('pulling_image', 30),
    ],
    [
      'its image pulled',
      waiting('ContainerCreating'),
      claim('Bound'),
      [event('Pulling', ''), event('Pulled', '')],
      starting('starting_container', 60),
    ],
    ['its image here already', waiting('ContainerCreating'), claim('Bound'), [], starting('starting_container', 60)],
    [
      'its startup commands at work',
      {
        phase: 'Pending',
        conditions: [SCHEDULED],
        initContainerStatuses: [startup({ running: {} })],
        containerStatuses: [main({ waiting: { reason: 'PodInitializing' } })],
      },
      claim('Bound'),
      [],
      starting('running_startup', 80),
    ],
    [
      'its startup commands done',
      {
        phase: 'Pending',
        conditions: [SCHEDULED],
        initContainerStatuses: [startup({ terminated: { exitCode: 0, reason: 'Completed' } })],
        containerStatuses: [main({ waiting: { reason: 'PodInitializing' } })],
      },
      claim('Bound'),
      [],
      starting('running_startup', 80),
    ],
  ])('%s', (_what, status, of, events, expected) => {
    expect(seen({ pods: [pod(status)], claim: of, events })).toEqual(expected);
  });
});

describe('what is seen of a pod that runs', () => {
  it('is that, with what went wrong in its startup commands', () => {
    const running = { seen: 'running', incarnation: 3, startupFailed: null, volumeFailed: null };
    expect(seen({ pods: [pod(RUNNING)] })).toEqual(running);
    const said = { exitCode: 0, reason: 'Completed', message: 'A startup command ended with code 3: exit 3' };
    const first = { ...RUNNING, initContainerStatuses: [startup({ terminated: said })] };
    expect(seen({ pods: [pod(first)] })).toEqual({ ...running, startupFailed: said.message });
    expect(seen({ pods: [pod(RUNNING)], claim: claim('Bound', { 'devpocket.io/startup': said.message }) })).toMatchObject({
      startupFailed: said.message,
    });
    expect(seen({ pods: [pod(RUNNING)], claim: claim('Bound', { 'devpocket.io/startup': '' }) })).toMatchObject({
      startupFailed: null,
    });
  });

  const resizing = (type: string, message: string): object => ({ conditions: [{ type, status: 'True', message }] });
  const RESTART = 'Waiting for user to (re-)start a pod to finish file system resize of volume on node.';
  it.each<[string, object, Record<string, string>, KubeEvent[], number, string | null]>([
    ['as large as asked for', { capacity: { storage: '2Gi' } }, {}, [], 300, null],
    ['growing', resizing('Resizing', ''), {}, [], 5, null],
    ['growing for long', resizing('Resizing', ''), {}, [], 60, 'The volume has not grown yet: nothing has told why'],
    ['waiting', resizing('FileSystemResizePending', RESTART), {}, [], 60, `The volume has not grown yet: ${RESTART}`],
    [
      'refused by the driver',
      resizing('Resizing', ''),
      {},
      [event('VolumeResizeFailed', 'rpc error: no space', 2, 'PersistentVolumeClaim')],
      5,
      'The volume has not grown: rpc error: no space',
    ],
    ['refused by the node', {}, {}, [event('FileSystemResizeFailed', 'no tool')], 5, 'The volume has not grown: no tool'],
    ['refused', { capacity: { storage: '2Gi' } }, { 'devpocket.io/not-grown': 'why' }, [], 5, 'The volume could not grow: why'],
  ])('tells of a volume that is %s', (_what, status, annotations, events, age, volumeFailed) => {
    const bound = claim('Bound', annotations);
    const of: Claim = {
      ...bound,
      spec: { resources: { requests: { storage: '2Gi' } } },
      status: { ...bound.status, capacity: { storage: '1Gi' }, ...status },
    };
    const pods = [pod(RUNNING, { creationTimestamp: ago(age) })];
    expect(seen({ pods, claim: of, events })).toMatchObject({ seen: 'running', volumeFailed });
  });

  it('counts the newest incarnation, also while an older one ends', () => {
    const older = { ...pod(RUNNING), metadata: { ...pod(RUNNING).metadata, labels: { 'devpocket.io/incarnation': '2' } } };
    expect(seen({ pods: [older, pod(RUNNING)] })).toMatchObject({ seen: 'running', incarnation: 3 });
  });

  it('is its end once it was told to end', () => {
    expect(seen({ pods: [pod(RUNNING, { deletionTimestamp: ago(-5) })] })).toEqual({ seen: 'stopping', incarnation: 3 });
    expect(seen({ pods: [pod(terminated(143, 'Error'), { deletionTimestamp: ago(1) })] })).toEqual({
      seen: 'stopping',
      incarnation: 3,
    });
  });
});

describe('what is seen of a pod that failed', () => {
  const pull = (message: string): Status => waiting('ErrImagePull', message);
  const NOT_FOUND =
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nope:1": failed to resolve reference "docker.io/library/nope:1": docker.io/library/nope:1: not found';
  const HUB =
    'rpc error: code = Unknown desc = failed to resolve reference "docker.io/no/pe:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed';
  const AUTH =
    'rpc error: code = Unknown desc = failed to resolve reference "ghcr.io/a/b:1": failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden';
  const NETWORK =
    'rpc error: code = Unknown desc = failed to do request: Head "https://registry-1.docker.io/v2/library/a/manifests/1": dial tcp: lookup registry-1.docker.io: no such host';
  const NODES = "0/3 nodes are available: 3 node(s) didn't match node selector.";
  const UNBOUND = '0/1 nodes are available: 1 pod has unbound immediate PersistentVolumeClaims.';
  const NO_CLASS = 'storageclass.storage.k8s.io "nope" not found';

  it.each<[string, Status, object, Partial<Traces>, Partial<NonNullable<Pod['metadata']>>]>([
    ['image not found', pull(NOT_FOUND), failed('image_not_found', NOT_FOUND, false), {}, {}],
    [
      'image not found, in back-off',
      waiting('ImagePullBackOff', 'Back-off pulling image "nope:1"'),
      failed('image_not_found', `Failed to pull image "nope:1": ${NOT_FOUND}`, false),
      { events: [event('Failed', `Failed to pull image "nope:1": ${NOT_FOUND}`, 9), event('Failed', 'Error: ErrImagePull', 8)] },
      {},
    ],
    ['image that the hub does not show', pull(HUB), failed('image_not_found', HUB, false), {}, {}],
    ['image that may not be pulled', pull(AUTH), failed('image_auth_failed', AUTH, false), {}, {}],
    ['registry out of reach', pull(NETWORK), failed('image_pull_failed', NETWORK), {}, old],
    [
      'image name that is none',
      waiting('InvalidImageName', 'Failed to apply default image tag "A b"'),
      failed('image_not_found', 'Failed to apply default image tag "A b"', false),
      {},
      {},
    ],
    ['no node takes it', { phase: 'Pending', conditions: [unscheduled(NODES)] }, failed('unschedulable', NODES), {}, old],
    [
      'its volume is not made',
      { phase: 'Pending', conditions: [unscheduled(UNBOUND)] },
      failed('volume_failed', NO_CLASS),
      { claim: claim('Pending'), events: [event('ProvisioningFailed', NO_CLASS, 3, 'PersistentVolumeClaim')] },
      old,
    ],
    [
      'its volume is lost',
      { phase: 'Pending', conditions: [unscheduled(UNBOUND)] },
      failed('volume_failed', 'The volume behind the claim is lost', false),
      { claim: claim('Lost') },
      {},
    ],
    [
      'its volume cannot be mounted',
      waiting('ContainerCreating'),
      failed('volume_failed', 'MountVolume.SetUp failed: timed out'),
      { events: [event('FailedMount', 'MountVolume.SetUp failed: timed out', 20)] },
      old,
    ],
    [
      'its volume is attached elsewhere',
      waiting('ContainerCreating'),
      failed('volume_failed', 'Multi-Attach error for volume'),
      { events: [event('FailedAttachVolume', 'Multi-Attach error for volume', 20)] },
      old,
    ],
    [
      'out of memory',
      terminated(137, 'OOMKilled'),
      failed('out_of_memory', 'The container used more memory than its limit'),
      {},
      {},
    ],
    [
      'out of memory at startup',
      {
        phase: 'Failed',
        conditions: [SCHEDULED],
        initContainerStatuses: [startup({ terminated: { exitCode: 137, reason: 'OOMKilled' } })],
      },
      failed('out_of_memory', expect.any(String)),
      {},
      {},
    ],
    [
      'out of memory, again and again',
      {
        phase: 'Running',
        conditions: [SCHEDULED],
        containerStatuses: [
          main({ waiting: { reason: 'CrashLoopBackOff' } }, { terminated: { exitCode: 137, reason: 'OOMKilled' } }),
        ],
      },
      failed('out_of_memory', expect.any(String)),
      {},
      {},
    ],
    ['ends at once', terminated(1, 'Error'), failed('crash_loop', 'The container ended by itself with code 1'), {}, {}],
    ['ends well, unasked', terminated(0, 'Completed'), failed('crash_loop', 'The container ended by itself with code 0'), {}, {}],
    [
      'ends again and again',
      {
        phase: 'Running',
        conditions: [SCHEDULED],
        containerStatuses: [
          main(
            { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container' } },
            { terminated: { exitCode: 2, reason: 'Error' } },
          ),
        ],
      },
      failed('crash_loop', 'The container ended by itself with code 2'),
      {},
      {},
    ],
    [
      'has no shell',
      terminated(128, 'StartError', 'exec: "/bin/sh": stat /bin/sh: no such file or directory'),
      failed('crash_loop', 'The container cannot start: exec: "/bin/sh": stat /bin/sh: no such file or directory', false),
      {},
      {},
    ],
    [
      'evicted',
      {
        phase: 'Failed',
        reason: 'Evicted',
        message: 'Pod ephemeral local storage usage exceeds the total limit of containers 2Gi.',
      },
      failed('evicted', 'Pod ephemeral local storage usage exceeds the total limit of containers 2Gi.'),
      {},
      {},
    ],
    [
      'preempted',
      {
        phase: 'Failed',
        conditions: [
          SCHEDULED,
          { type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', message: 'default-scheduler: preempting' },
        ],
      },
      failed('evicted', 'default-scheduler: preempting'),
      {},
      {},
    ],
    [
      'its node shut down',
      { phase: 'Failed', reason: 'Terminated', message: 'Pod was terminated in response to imminent node shutdown.' },
      failed('evicted', 'Pod was terminated in response to imminent node shutdown.'),
      {},
      {},
    ],
    [
      'its node is lost (before 1.24)',
      { ...RUNNING, reason: 'NodeLost', message: 'Node n1 which was running pod x is unresponsive' },
      failed('node_lost', 'Node n1 which was running pod x is unresponsive'),
      {},
      { deletionTimestamp: ago(30) },
    ],
    [
      'its node is lost',
      {
        ...RUNNING,
        conditions: [
          SCHEDULED,
          {
            type: 'DisruptionTarget',
            status: 'True',
            reason: 'DeletionByTaintManager',
            message: 'Taint manager: deleting due to NoExecute taint',
          },
        ],
      },
      failed('node_lost', 'The node that it ran on does not answer'),
      {},
      { deletionTimestamp: ago(5) },
    ],
    [
      'its node forgot the container',
      terminated(137, 'ContainerStatusUnknown', 'The container could not be located when the pod was terminated'),
      failed('node_lost', expect.stringContaining('could not be located')),
      {},
      {},
    ],
    [
      'its configuration is missing',
      waiting('CreateContainerConfigError', 'secret "env-c" not found'),
      failed('internal', 'secret "env-c" not found'),
      {},
      old,
    ],
    [
      'its node refused it',
      { phase: 'Failed', reason: 'OutOfmemory', message: "Pod Node didn't have enough resource: memory" },
      failed('internal', "Pod Node didn't have enough resource: memory"),
      {},
      {},
    ],
  ])('%s', (_what, status, expected, more, meta) => {
    expect(seen({ pods: [pod(status, meta)], ...more })).toEqual(expected);
  });

  it.each<[string, Status, Partial<Traces>, Partial<NonNullable<Pod['metadata']>>]>([
    ['no node takes it yet', { phase: 'Pending', conditions: [unscheduled(NODES)] }, {}, { creationTimestamp: ago(59) }],
    [
      'its volume is not made yet',
      { phase: 'Pending', conditions: [unscheduled(UNBOUND)] },
      { claim: claim('Pending') },
      { creationTimestamp: ago(59) },
    ],
    [
      'a mount failed once',
      waiting('ContainerCreating'),
      { events: [event('FailedMount', 'not yet', 3)] },
      { creationTimestamp: ago(30) },
    ],
    ['a mount failed long ago', waiting('ContainerCreating'), { events: [event('FailedMount', 'not yet', 290)] }, old],
    [
      "another pod's mount fails",
      waiting('ContainerCreating'),
      { events: [{ ...event('FailedMount', 'x'), involvedObject: { uid: 'u2' } }] },
      old,
    ],
    ['the registry was out of reach a moment ago', pull(NETWORK), {}, { creationTimestamp: ago(10) }],
    [
      'its Secret comes a moment later',
      waiting('CreateContainerConfigError', 'secret "env-c" not found'),
      {},
      { creationTimestamp: ago(3) },
    ],
  ])('not yet: %s', (_what, status, more, meta) => {
    expect(seen({ pods: [pod(status, meta)], ...more })).toMatchObject({ seen: 'starting' });
  });
});

describe('a pod that may be removed by force', () => {
  it('is one whose node is lost, or that should have ended a minute ago', () => {
    expect(isAbandoned(pod(RUNNING), NOW)).toBe(false);
    expect(isAbandoned(pod(RUNNING, { deletionTimestamp: ago(30) }), NOW)).toBe(false);
    expect(isAbandoned(pod(RUNNING, { deletionTimestamp: ago(61) }), NOW)).toBe(true);
    expect(isAbandoned(pod({ ...RUNNING, reason: 'NodeLost' }, { deletionTimestamp: ago(1) }), NOW)).toBe(true);
  });
});
