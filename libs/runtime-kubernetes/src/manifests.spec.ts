import { type ClusterOptions, type EnvironmentSpec } from '@devpocket/runtime';
import { claim, pod, service, variables } from './manifests';
import { DEFAULT_OPTIONS } from './namespace-manifests';
import { FIRST_PROCESS, STARTUP_PROCESS } from '@devpocket/container-runtime';

const INSTALL = 'aaaaaaaaaaaaaaaaaaaaaaaa';
const USER = 'bbbbbbbbbbbbbbbbbbbbbbbb';
const ID = 'cccccccccccccccccccccccc';
const NAMESPACE = `dp-${INSTALL}-${USER}`;
const LABELS = {
  'devpocket.io/env': ID,
  'devpocket.io/install': INSTALL,
  'devpocket.io/user': USER,
  'app.kubernetes.io/managed-by': 'devpocket',
};
const GI = 2 ** 30;

const SPEC: EnvironmentSpec = {
  environmentId: ID,
  userId: USER,
  clusterId: 'dddddddddddddddddddddddd',
  install: INSTALL,
  incarnation: 3,
  name: 'my_env-1',
  image: 'devpocket/tiny:1',
  defaultPort: 8080,
  resources: { cpuMillis: 500, memoryBytes: GI, storageBytes: 5 * GI },
  environmentVariables: { TOKEN: 'hunter2é' },
  startupCommands: ['echo $$ $(HOME)'],
  quota: { active: 1, kept: 3, each: { cpuMillis: 500, memoryBytes: GI, storageBytes: 5 * GI } },
  readOnlyRoot: true,
  soleUser: false,
};

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  privileged: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  seccompProfile: { type: 'RuntimeDefault' },
};
const COMMON = {
  image: 'devpocket/tiny:1',
  workingDir: '/workspace',
  env: [
    { name: 'HOME', value: '/workspace' },
    { name: 'LANG', value: 'C.UTF-8' },
  ],
  envFrom: [{ secretRef: { name: `env-${ID}` } }],
  resources: {
    limits: { cpu: '500m', memory: '1073741824', 'ephemeral-storage': '2Gi' },
    requests: { cpu: '25m', memory: '268435456', 'ephemeral-storage': '64Mi' },
  },
  securityContext: RESTRICTED,
};
const WORKSPACE = { name: 'volume', mountPath: '/workspace', subPath: 'workspace' };
const TMP = { name: 'tmp', mountPath: '/tmp' };
/** As the API wants it: a dollar is written twice. */
const doubled = (text: string): string => text.split('$').join('$$');

describe('the pod of an incarnation', () => {
  it('keeps to the restricted standard, with limits, variables from a Secret and the volume', () => {
    expect(pod(SPEC, INSTALL, DEFAULT_OPTIONS)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `env-${ID}-3`, namespace: NAMESPACE, labels: { ...LABELS, 'devpocket.io/incarnation': '3' } },
      spec: {
        hostname: 'my-env-1',
        restartPolicy: 'Never',
        serviceAccountName: 'environment',
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 10,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 1000,
          runAsGroup: 1000,
          fsGroup: 1000,
          fsGroupChangePolicy: 'OnRootMismatch',
          seccompProfile: { type: 'RuntimeDefault' },
        },
        tolerations: [
          { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
          { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
        ],
        initContainers: [
          {
            ...COMMON,
            name: 'startup',
            command: ['/bin/sh', '-c', doubled(STARTUP_PROCESS), 'devpocket', 'echo $$$$ $$(HOME)'],
            volumeMounts: [WORKSPACE, TMP, { name: 'volume', mountPath: '/devpocket', subPath: 'devpocket' }],
          },
        ],
        containers: [
          {
            ...COMMON,
            name: 'environment',
            command: ['/bin/sh', '-c', doubled(FIRST_PROCESS), 'devpocket', 'my_env-1'],
            volumeMounts: [WORKSPACE, TMP],
            ports: [{ name: 'web', containerPort: 8080, protocol: 'TCP' }],
          },
        ],
        volumes: [
          { name: 'volume', persistentVolumeClaim: { claimName: `env-${ID}` } },
          { name: 'tmp', emptyDir: { sizeLimit: '2Gi' } },
        ],
      },
    });
  });

  it('has no more than it needs', () => {
    const bare = { ...SPEC, defaultPort: null, environmentVariables: {}, startupCommands: [], readOnlyRoot: false, name: '_' };
    const { envFrom: _variables, ...common } = COMMON;
    expect(pod(bare, INSTALL, DEFAULT_OPTIONS).spec).toEqual({
      ...(pod(SPEC, INSTALL, DEFAULT_OPTIONS).spec as object),
      hostname: undefined,
      initContainers: undefined,
      containers: [
        {
          ...common,
          name: 'environment',
          securityContext: { ...RESTRICTED, readOnlyRootFilesystem: false },
          command: ['/bin/sh', '-c', doubled(FIRST_PROCESS), 'devpocket', '_'],
          volumeMounts: [WORKSPACE],
        },
      ],
      volumes: [{ name: 'volume', persistentVolumeClaim: { claimName: `env-${ID}` } }],
    });
  });

  it('follows what the cluster is set to', () => {
    const options: ClusterOptions = {
      cpuRequestPercent: 100,
      memoryRequestPercent: 1,
      storageClass: 'fast',
      runtimeClassName: 'gvisor',
      nodeSelector: { pool: 'dev' },
      tolerations: [{ key: 'dev', operator: 'Exists', effect: 'NoSchedule' }],
      imagePullSecrets: ['registry'],
    };
    const { spec } = pod(SPEC, INSTALL, options) as unknown as {
      spec: { tolerations: unknown[]; containers: { resources: { requests: unknown } }[] };
    };
    expect(spec).toMatchObject({
      runtimeClassName: 'gvisor',
      nodeSelector: { pool: 'dev' },
      imagePullSecrets: [{ name: 'registry' }],
    });
    expect(spec.tolerations[0]).toEqual({ key: 'dev', operator: 'Exists', effect: 'NoSchedule' });
    expect(spec.containers[0]?.resources.requests).toEqual({ cpu: '500m', memory: '16777216', 'ephemeral-storage': '64Mi' });
  });

  it("lets the user's own variables win over ours", () => {
    const { spec } = pod(
      { ...SPEC, environmentVariables: { HOME: '/tmp', LANG: 'de' } },
      INSTALL,
      DEFAULT_OPTIONS,
    ) as unknown as {
      spec: { containers: { env: unknown }[] };
    };
    expect(spec.containers[0]?.env).toEqual([]);
  });
});

describe('what stands beside the pod', () => {
  it('is a claim that carries the incarnation', () => {
    expect(claim(SPEC, INSTALL, { ...DEFAULT_OPTIONS, storageClass: 'fast' }, null)).toEqual({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: `env-${ID}`,
        namespace: NAMESPACE,
        labels: LABELS,
        annotations: { 'devpocket.io/incarnation': '3' },
      },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '5368709120' } },
        storageClassName: 'fast',
      },
    });
  });

  it.each([
    ['stays as large as it is', '10Gi', null, '10Gi'],
    ['grows', '1Gi', null, '5368709120'],
    ['keeps its size where it cannot grow, and says why', '1Gi', 'refused', '1Gi'],
  ])('is a claim that %s', (_what, had, notGrown, storage) => {
    const existing = { spec: { storageClassName: 'old', resources: { requests: { storage: had } } } };
    const made = claim(SPEC, INSTALL, { ...DEFAULT_OPTIONS, storageClass: 'fast' }, existing, notGrown);
    expect(made.metadata.annotations).toEqual({
      'devpocket.io/incarnation': '3',
      ...(notGrown === null ? {} : { 'devpocket.io/not-grown': notGrown }),
    });
    expect(made.spec).toEqual({
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage } },
      storageClassName: 'old',
    });
  });

  it('is a Secret with the variables', () => {
    expect(variables(SPEC, INSTALL)).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `env-${ID}`, namespace: NAMESPACE, labels: LABELS },
      type: 'Opaque',
      data: { TOKEN: 'aHVudGVyMsOp' },
    });
    expect(JSON.stringify(pod(SPEC, INSTALL, DEFAULT_OPTIONS))).not.toContain('hunter2');
  });

  it('is a Service for the port', () => {
    expect(service(SPEC, INSTALL, 8080)).toEqual({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `env-${ID}`, namespace: NAMESPACE, labels: LABELS },
      spec: {
        type: 'ClusterIP',
        selector: { 'devpocket.io/env': ID },
        ports: [{ name: 'web', port: 8080, targetPort: 8080, protocol: 'TCP' }],
      },
    });
  });
});
