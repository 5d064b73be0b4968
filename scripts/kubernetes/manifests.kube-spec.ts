import { readVariables, VARIABLES } from '@devpocket/config';
import {
  type V1ClusterRoleBinding,
  type V1ConfigMap,
  type V1Container,
  type V1Deployment,
  type V1Ingress,
  type V1Namespace,
  type V1NetworkPolicy,
  type V1PodDisruptionBudget,
  type V1PodSpec,
  type V1ServiceAccount,
  type V2HorizontalPodAutoscaler,
} from '@kubernetes/client-node';
import { apply, asServed, type Fields, kubectl, remove, render, renderAs, type Rendered } from './kustomize';
import { faultsOf } from './schema';

const FOLDERS = ['base', 'overlays/production', 'overlays/development'];
/** What must be in the Secret `devpocket`. */
const SECRETS = { SECRET_KEY: 'x'.repeat(32), ENCRYPTION_KEY: '0'.repeat(64), MONGODB_URL: 'mongodb://mongodb:27017/devpocket' };
const CLUSTER_WIDE = new Set(['Namespace', 'ClusterRole', 'ClusterRoleBinding']);

interface Kinds {
  readonly Namespace: V1Namespace;
  readonly ServiceAccount: V1ServiceAccount;
  readonly ClusterRoleBinding: V1ClusterRoleBinding;
  readonly ConfigMap: V1ConfigMap;
  readonly Deployment: V1Deployment;
  readonly HorizontalPodAutoscaler: V2HorizontalPodAutoscaler;
  readonly Ingress: V1Ingress;
  readonly NetworkPolicy: V1NetworkPolicy;
  readonly PodDisruptionBudget: V1PodDisruptionBudget;
}

/** Objects of a kind, as the API of today has them: that they are so is the first thing tested. */
const all = <K extends keyof Kinds>(objects: readonly Rendered[], kind: K): readonly Kinds[K][] =>
  objects.filter((object) => object.kind === kind) as readonly object[] as readonly Kinds[K][];
const one = <K extends keyof Kinds>(objects: readonly Rendered[], kind: K): Kinds[K] => {
  const [found] = all(objects, kind);
  if (!found) throw new Error(`no ${kind}`);
  return found;
};
const configOf = (objects: readonly Rendered[]): Readonly<Record<string, string>> => one(objects, 'ConfigMap').data ?? {};
const podOf = (objects: readonly Rendered[]): { readonly pod: V1PodSpec; readonly server: V1Container } => {
  const pod = one(objects, 'Deployment').spec?.template.spec;
  const [server] = pod?.containers ?? [];
  if (!pod || !server || pod.containers.length > 1) throw new Error('not one container');
  return { pod, server };
};

describe.each(FOLDERS)('the manifests of %s', (folder) => {
  const objects = render(folder);

  it('are objects of the API of today', () => {
    expect(objects.flatMap(faultsOf)).toEqual([]);
  });

  it('set what the server reads, and settings that it takes', () => {
    const config = configOf(objects);
    const { env = [], ports = [] } = podOf(objects).server;
    const given = [...Object.keys(config), ...env.map(({ name }) => name)];
    expect(given.filter((name) => !(name in VARIABLES))).toEqual([]);
    const needed = env.filter(({ valueFrom }) => valueFrom?.secretKeyRef?.optional !== true).map(({ name }) => name);
    expect(needed.sort()).toEqual(Object.keys(SECRETS).sort());
    expect(readVariables({ ...config, ...SECRETS })).toMatchObject({ RUNTIME: 'kubernetes', HOST: '0.0.0.0' });
    expect(ports.map(({ containerPort }) => String(containerPort))).toEqual([
      config.PORT,
      config.METRICS_PORT,
      config.REPLICA_PORT,
    ]);
    expect(objects.filter(({ kind }) => kind === 'Secret')).toEqual([]);
  });

  it('keep to the restricted Pod Security Standard, with a root that nobody writes to', () => {
    const { pod, server } = podOf(objects);
    expect(pod).toMatchObject({
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      enableServiceLinks: false,
    });
    expect(server.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
    });
    expect(['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => field in pod)).toEqual([]);
    for (const volume of pod.volumes ?? []) expect(volume).toHaveProperty('emptyDir');
    expect(one(objects, 'Namespace').metadata?.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  });

  it('ask the server how it is where it says so', () => {
    const { startupProbe, livenessProbe, readinessProbe } = podOf(objects).server;
    const asked = [startupProbe, livenessProbe, readinessProbe].map((probe) => [probe?.httpGet?.path, probe?.httpGet?.port]);
    expect(asked).toEqual([
      ['/health/live', 'http'],
      ['/health/live', 'http'],
      ['/health/ready', 'http'],
    ]);
  });

  it('give a server the time to stop, and replace it without a gap', () => {
    const { pod, server } = podOf(objects);
    const command = server.lifecycle?.preStop?.exec?.command ?? [];
    const waits = Number(/, (\d+)\)$/.exec(command.at(-1) ?? '')?.[1]) / 1000;
    expect(waits).toBeGreaterThanOrEqual(5);
    const grace = Number(configOf(objects).SHUTDOWN_GRACE_SECONDS);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(waits + grace + 5);
    expect(one(objects, 'Deployment').spec?.strategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
    });
    expect(one(objects, 'PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1 });
  });

  it('lead from each binding to a role and to the account of the pod', () => {
    const namespace = one(objects, 'Namespace').metadata?.name;
    const account = { kind: 'ServiceAccount', name: podOf(objects).pod.serviceAccountName, namespace };
    expect(one(objects, 'ServiceAccount').metadata).toMatchObject({ name: account.name, namespace });
    const roles = objects.filter(({ kind }) => kind === 'ClusterRole').map(({ metadata }) => metadata.name);
    const bindings = all(objects, 'ClusterRoleBinding');
    expect(bindings.map(({ roleRef }) => roleRef.name)).toEqual(roles);
    for (const { subjects } of bindings) expect(subjects).toEqual([account]);
  });

  it('let in and out what is needed and nothing else', () => {
    const [own, rest] = [...all(objects, 'NetworkPolicy')].reverse().map(({ spec }) => spec);
    expect(rest).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    expect(own?.ingress).toMatchObject([
      { ports: [{ port: 'http' }], from: [{ podSelector: {}, namespaceSelector: {} }] },
      { ports: [{ port: 'metrics' }], from: [{ namespaceSelector: {} }] },
      { ports: [{ port: 'replicas' }], from: [{ podSelector: {} }] },
    ]);
    const ports = own?.egress?.flatMap((rule) => rule.ports?.map(({ port }) => port));
    expect(ports).toEqual([9100, 53, 53, 443, 6443, 27017, 6379, 465, 587]);
    expect(own?.egress?.at(-1)?.to?.[0]?.ipBlock?.except).toContain('169.254.0.0/16');
  });
});

describe('the manifests of production', () => {
  const objects = render('overlays/production');

  it('scale between two and six replicas, which nothing else counts', () => {
    const deployment = one(objects, 'Deployment');
    expect(one(objects, 'HorizontalPodAutoscaler').spec).toMatchObject({
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: deployment.metadata?.name },
      minReplicas: 2,
      maxReplicas: 6,
    });
    expect(deployment.spec).not.toHaveProperty('replicas');
    expect(one(render('base'), 'Deployment').spec).toMatchObject({ replicas: 2 });
  });

  it('lead from outside to the API and to sockets, which may be silent, and to no metrics', () => {
    const ingresses = all(objects, 'Ingress');
    const rules = ingresses.map(({ spec }) => spec?.rules?.[0]);
    const paths = rules.map((rule) => rule?.http?.paths.map(({ path }) => path));
    expect(paths).toEqual([['/api/v1', '/health'], ['/api/v1/ws']]);
    expect(ingresses.map(({ spec }) => spec?.tls?.[0]?.hosts)).toEqual(rules.map((rule) => [rule?.host]));
    expect(configOf(objects)).toMatchObject({ ENVIRONMENT: 'production', PUBLIC_URL: `https://${rules[0]?.host ?? ''}` });
    const sockets = ingresses[1]?.metadata?.annotations ?? {};
    const mostSilence = readVariables({ ...configOf(objects), ...SECRETS }).WS_STALL_SECONDS;
    for (const way of ['read', 'send'])
      expect(Number(sockets[`nginx.ingress.kubernetes.io/proxy-${way}-timeout`])).toBeGreaterThan(mostSilence);
  });
});

describe('the check against the API of today', () => {
  const budget = (spec: Fields, apiVersion = 'policy/v1'): Rendered => ({
    apiVersion,
    kind: 'PodDisruptionBudget',
    metadata: { name: 'x' },
    spec,
  });
  it.each<[string, Rendered, readonly string[]]>([
    ['a field that there is not', budget({ minAvailible: 1 }), ['PodDisruptionBudget.spec.minAvailible is no field']],
    ['another type', budget({ minAvailable: true }), ['PodDisruptionBudget.spec.minAvailable is no IntOrString']],
    ['a version that is gone', budget({}, 'policy/v1beta1'), ['policy/v1beta1 has no PodDisruptionBudget']],
    [
      'a field that is missing',
      { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'x' }, spec: { maxReplicas: 2 } },
      ['HorizontalPodAutoscaler.spec.scaleTargetRef is missing'],
    ],
  ])('finds %s', (_what, object, faults) => {
    expect(faultsOf(object)).toEqual(faults);
  });
});

describe.each(FOLDERS)('a cluster takes the manifests of %s', (folder) => {
  const namespace = `devpocket-test-${folder.split('/').at(-1)}-${process.pid}`;
  let objects: readonly Rendered[] = [];

  afterAll(() => remove(objects));

  it('and has nothing of them left when they are removed', async () => {
    // Without pods: there is no image here.
    const patch = JSON.stringify([{ op: 'add', path: '/spec/replicas', value: 0 }]);
    const rendered = renderAs(folder, { namespace, more: { patches: [{ target: { kind: 'Deployment' }, patch }] } });
    expect(rendered.map(({ kind }) => kind).sort()).toEqual(
      render(folder)
        .map(({ kind }) => kind)
        .sort(),
    );
    objects = await asServed(rendered);
    for (const { kind, metadata } of objects) {
      if (CLUSTER_WIDE.has(kind)) expect(metadata.name).toContain(namespace);
      else expect(metadata.namespace).toBe(namespace);
    }
    expect((await apply(objects)).filter((line) => !line.endsWith(' created'))).toEqual([]);
    // Applied again, nothing of it changes: no field is one that the API makes something else of.
    expect((await apply(objects)).filter((line) => !line.endsWith(' unchanged'))).toEqual([]);
    await remove(objects);
    const left = await kubectl(['get', 'namespaces,clusterroles,clusterrolebindings', '--output=name']);
    expect(left).not.toContain(namespace);
  });
});
