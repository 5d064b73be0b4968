import { type ClusterOptions, type UserQuota } from '@devpocket/runtime';
import { type Manifest } from './kube-objects';
import { LABEL, namespaceOf } from './names';

export const SERVICE_ACCOUNT = 'environment';

/**
 * The plan's numbers are kept by the server; the quota only stops what the server lets through by mistake. It is twice as
 * wide because what is on its way out still counts.
 */
const SLACK = 2;
/** Of the pod's own file system: image layers are not counted, what is written outside of the volume is. */
export const EPHEMERAL_LIMIT = '2Gi';
export const EPHEMERAL_REQUEST = '64Mi';

/**
 * Addresses that environments have no business with: other pods, nodes and whatever else is near, and the cloud's metadata
 * service, which hands out credentials of the node.
 */
const NEAR_V4 = ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'];
const NEAR_V6 = ['::1/128', 'fc00::/7', 'fe80::/10'];
/** Where the cluster runs a name server on each node (NodeLocal DNSCache). */
const NODE_LOCAL_DNS = '169.254.20.10/32';

/** The user's namespace and what stands in it whatever runs there, in the order in which it is made. */
export function namespaceManifests(install: string, userId: string, quota: UserQuota): readonly Manifest[] {
  const namespace = namespaceOf(install, userId);
  const labels = { [LABEL.install]: install, [LABEL.user]: userId, 'app.kubernetes.io/managed-by': 'devpocket' };
  const inside = (name: string): Manifest['metadata'] => ({ name, namespace, labels });
  const { each, active, kept } = quota;
  const pods = active * SLACK;
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: namespace,
        labels: {
          ...labels,
          'pod-security.kubernetes.io/enforce': 'restricted',
          'pod-security.kubernetes.io/enforce-version': 'latest',
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: inside(SERVICE_ACCOUNT),
      automountServiceAccountToken: false,
    },
    {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: inside('plan'),
      spec: {
        hard: {
          pods: String(pods),
          'limits.cpu': `${pods * each.cpuMillis}m`,
          'limits.memory': String(pods * each.memoryBytes),
          persistentvolumeclaims: String(kept * SLACK),
          'requests.storage': String(kept * SLACK * each.storageBytes),
          'services.nodeports': '0',
          'services.loadbalancers': '0',
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: inside('plan'),
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: `${each.cpuMillis}m`, memory: String(each.memoryBytes), 'ephemeral-storage': EPHEMERAL_LIMIT },
            defaultRequest: { cpu: '10m', memory: '16Mi', 'ephemeral-storage': EPHEMERAL_REQUEST },
          },
        ],
      },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: inside('environments'),
      spec: {
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
        ingress: [],
        egress: [
          {
            to: [
              { namespaceSelector: {}, podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } },
              { ipBlock: { cidr: NODE_LOCAL_DNS } },
            ],
            ports: [
              { protocol: 'UDP', port: 53 },
              { protocol: 'TCP', port: 53 },
            ],
          },
          {
            to: [{ ipBlock: { cidr: '0.0.0.0/0', except: NEAR_V4 } }, { ipBlock: { cidr: '::/0', except: NEAR_V6 } }],
          },
        ],
      },
    },
  ];
}

/** A copy of a Secret that lets the kubelet pull images, for the user's namespace. */
export function pullSecret(
  install: string,
  userId: string,
  secret: { readonly name: string; readonly type: string; readonly data: Readonly<Record<string, string>> },
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: secret.name,
      namespace: namespaceOf(install, userId),
      labels: { [LABEL.install]: install, [LABEL.user]: userId, 'app.kubernetes.io/managed-by': 'devpocket' },
    },
    type: secret.type,
    data: secret.data,
  };
}

export const DEFAULT_OPTIONS: ClusterOptions = {
  cpuRequestPercent: 5,
  memoryRequestPercent: 25,
  storageClass: null,
  runtimeClassName: null,
  nodeSelector: {},
  tolerations: [],
  imagePullSecrets: [],
};
