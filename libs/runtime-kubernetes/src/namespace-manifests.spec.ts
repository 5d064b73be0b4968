import { namespaceManifests, pullSecret } from './namespace-manifests';
import { namespaceOf, podName } from './names';

const INSTALL = 'aaaaaaaaaaaaaaaaaaaaaaaa';
const USER = 'bbbbbbbbbbbbbbbbbbbbbbbb';
const NAMESPACE = `dp-${INSTALL}-${USER}`;
const GI = 2 ** 30;
const LABELS = {
  'devpocket.io/install': INSTALL,
  'devpocket.io/user': USER,
  'app.kubernetes.io/managed-by': 'devpocket',
};

describe("a user's namespace", () => {
  it('is labelled, bounded, and closed but for the way out', () => {
    const quota = { active: 3, kept: 10, each: { cpuMillis: 1000, memoryBytes: 2 * GI, storageBytes: 10 * GI } };
    const inside = (name: string): object => ({ name, namespace: NAMESPACE, labels: LABELS });
    expect(namespaceManifests(INSTALL, USER, quota)).toEqual([
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: {
          name: NAMESPACE,
          labels: {
            ...LABELS,
            'pod-security.kubernetes.io/enforce': 'restricted',
            'pod-security.kubernetes.io/enforce-version': 'latest',
          },
        },
      },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: inside('environment'), automountServiceAccountToken: false },
      {
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: inside('plan'),
        spec: {
          hard: {
            pods: '6',
            'limits.cpu': '6000m',
            'limits.memory': String(12 * GI),
            persistentvolumeclaims: '20',
            'requests.storage': String(200 * GI),
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
              default: { cpu: '1000m', memory: String(2 * GI), 'ephemeral-storage': '2Gi' },
              defaultRequest: { cpu: '10m', memory: '16Mi', 'ephemeral-storage': '64Mi' },
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
                { ipBlock: { cidr: '169.254.20.10/32' } },
              ],
              ports: [
                { protocol: 'UDP', port: 53 },
                { protocol: 'TCP', port: 53 },
              ],
            },
            {
              to: [
                {
                  ipBlock: {
                    cidr: '0.0.0.0/0',
                    except: ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'],
                  },
                },
                { ipBlock: { cidr: '::/0', except: ['::1/128', 'fc00::/7', 'fe80::/10'] } },
              ],
            },
          ],
        },
      },
    ]);
  });

  it('gets copies of the secrets that images are pulled with', () => {
    const secret = { name: 'registry', type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': 'e30=' } };
    expect(pullSecret(INSTALL, USER, secret)).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'registry', namespace: NAMESPACE, labels: LABELS },
      type: secret.type,
      data: secret.data,
    });
  });

  it('has a name that is a DNS label for any ids, and another for each', () => {
    const ids = ['u', USER, 'Ünder_score', 'x'.repeat(40), 'x'.repeat(41), 'a-b'];
    const names = ids.map((id) => namespaceOf(INSTALL, id));
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
    expect(new Set(names).size).toBe(ids.length);
    expect(podName('c'.repeat(24), 4_000_000_000)).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  });
});
