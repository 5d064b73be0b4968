import { FIRST_PROCESS, hostnameOf, STARTUP_PROCESS, STATE_PATH, WORKSPACE_PATH } from '@devpocket/container-runtime';
import { type ClusterOptions, type EnvironmentSpec } from '@devpocket/runtime';
import { type Claim, type Manifest } from './kube-objects';
import { baseName, CONTAINER, LABEL, labelsOf, namespaceOf, NOT_GROWN, podName, STARTUP_CONTAINER } from './names';
import { EPHEMERAL_LIMIT, EPHEMERAL_REQUEST, SERVICE_ACCOUNT } from './namespace-manifests';
import { bytesOf } from './quantity';

/** Everything in an environment runs as this user and group; the volume belongs to the group. */
const USER_ID = 1000;
const LEAST_MEMORY_REQUEST = 16 * 2 ** 20;
/** How long a pod waits for a node that does not answer before it is given up. */
const NODE_LOST_SECONDS = 60;

/**
 * The volume. Of one that exists, class and size stay as they are where they cannot change; the size grows when asked to.
 * @param notGrown why it keeps the size that it has
 */
export function claim(
  spec: EnvironmentSpec,
  install: string,
  options: ClusterOptions,
  existing: Claim | null,
  notGrown: string | null = null,
): Manifest {
  const had = existing?.spec?.resources?.requests?.storage;
  const storage = had !== undefined && (notGrown !== null || bytesOf(had) >= spec.resources.storageBytes) ? had : null;
  const storageClassName = existing ? existing.spec?.storageClassName : (options.storageClass ?? undefined);
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: baseName(spec.environmentId),
      namespace: namespaceOf(install, spec.userId),
      labels: labelsOf(spec, install),
      annotations: {
        [LABEL.incarnation]: String(spec.incarnation),
        ...(notGrown === null ? {} : { [NOT_GROWN]: notGrown }),
      },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: storage ?? String(spec.resources.storageBytes) } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  };
}

/** Environment variables, which may be secrets, apart from the pod that everybody who may see pods can read. */
export function variables(spec: EnvironmentSpec, install: string): Manifest {
  const encoded = Object.entries(spec.environmentVariables).map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: baseName(spec.environmentId),
      namespace: namespaceOf(install, spec.userId),
      labels: labelsOf(spec, install),
    },
    type: 'Opaque',
    data: Object.fromEntries(encoded) as Record<string, string>,
  };
}

/** A name for the port that the environment serves on; it leads to whichever incarnation runs. */
export function service(spec: EnvironmentSpec, install: string, port: number): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: baseName(spec.environmentId),
      namespace: namespaceOf(install, spec.userId),
      labels: labelsOf(spec, install),
    },
    spec: {
      type: 'ClusterIP',
      selector: { [LABEL.environment]: spec.environmentId },
      ports: [{ name: 'web', port, targetPort: port, protocol: 'TCP' }],
    },
  };
}

/** One incarnation: to the restricted Pod Security Standard, whatever the cluster enforces. */
export function pod(spec: EnvironmentSpec, install: string, options: ClusterOptions): Manifest {
  const name = podName(spec.environmentId, spec.incarnation);
  const hostname = hostnameOf(spec.name);
  const workspace = { name: 'volume', mountPath: WORKSPACE_PATH, subPath: 'workspace' };
  const state = { name: 'volume', mountPath: STATE_PATH, subPath: 'devpocket' };
  const temporary = { name: 'tmp', mountPath: '/tmp' };
  const container = {
    image: spec.image,
    workingDir: WORKSPACE_PATH,
    // The user's variables come after and may say otherwise.
    env: [
      ...('HOME' in spec.environmentVariables ? [] : [{ name: 'HOME', value: WORKSPACE_PATH }]),
      ...('LANG' in spec.environmentVariables ? [] : [{ name: 'LANG', value: 'C.UTF-8' }]),
    ],
    ...(hasVariables(spec) ? { envFrom: [{ secretRef: { name: baseName(spec.environmentId) } }] } : {}),
    resources: resourcesOf(spec, options),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: spec.readOnlyRoot,
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
  const mounts = [workspace, ...(spec.readOnlyRoot ? [temporary] : [])];
  const startup = {
    ...container,
    name: STARTUP_CONTAINER,
    command: ['/bin/sh', '-c', literal(STARTUP_PROCESS), 'devpocket', ...spec.startupCommands.map(literal)],
    volumeMounts: [...mounts, state],
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: namespaceOf(install, spec.userId),
      labels: { ...labelsOf(spec, install), [LABEL.incarnation]: String(spec.incarnation) },
    },
    spec: {
      ...(hostname === null ? {} : { hostname }),
      // What ends by itself is seen to have ended, by us, and started by us alone.
      restartPolicy: 'Never',
      serviceAccountName: SERVICE_ACCOUNT,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 10,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER_ID,
        runAsGroup: USER_ID,
        fsGroup: USER_ID,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...(options.runtimeClassName === null ? {} : { runtimeClassName: options.runtimeClassName }),
      ...(Object.keys(options.nodeSelector).length === 0 ? {} : { nodeSelector: options.nodeSelector }),
      tolerations: [
        ...options.tolerations,
        ...['not-ready', 'unreachable'].map((state) => ({
          key: `node.kubernetes.io/${state}`,
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds: NODE_LOST_SECONDS,
        })),
      ],
      ...(options.imagePullSecrets.length === 0 ? {} : { imagePullSecrets: options.imagePullSecrets.map((name) => ({ name })) }),
      ...(spec.startupCommands.length === 0 ? {} : { initContainers: [startup] }),
      containers: [
        {
          ...container,
          name: CONTAINER,
          command: ['/bin/sh', '-c', literal(FIRST_PROCESS), 'devpocket', literal(spec.name)],
          volumeMounts: mounts,
          ...(spec.defaultPort === null ? {} : { ports: [{ name: 'web', containerPort: spec.defaultPort, protocol: 'TCP' }] }),
        },
      ],
      volumes: [
        { name: 'volume', persistentVolumeClaim: { claimName: baseName(spec.environmentId) } },
        ...(spec.readOnlyRoot ? [{ name: 'tmp', emptyDir: { sizeLimit: EPHEMERAL_LIMIT } }] : []),
      ],
    },
  };
}

export function hasVariables(spec: EnvironmentSpec): boolean {
  return Object.keys(spec.environmentVariables).length > 0;
}

/** In a pod's commands the API takes `$(NAME)` for a variable and `$$` for a dollar. */
function literal(text: string): string {
  return text.replaceAll('$', '$$$$');
}

function resourcesOf({ resources }: EnvironmentSpec, options: ClusterOptions): Readonly<Record<string, unknown>> {
  const { cpuMillis, memoryBytes } = resources;
  const cpu = Math.max(1, Math.round((cpuMillis * options.cpuRequestPercent) / 100));
  const share = Math.round((memoryBytes * options.memoryRequestPercent) / 100);
  const memory = Math.min(memoryBytes, Math.max(LEAST_MEMORY_REQUEST, share));
  return {
    limits: { cpu: `${cpuMillis}m`, memory: String(memoryBytes), 'ephemeral-storage': EPHEMERAL_LIMIT },
    requests: { cpu: `${cpu}m`, memory: String(memory), 'ephemeral-storage': EPHEMERAL_REQUEST },
  };
}
