import { SystemClock } from '@devpocket/kernel';
import {
  type ClusterConnection,
  ClusterDirectory,
  type ClusterOptions,
  type EnvironmentSpec,
  type Place,
  type RuntimeDriver,
  type Sighting,
} from '@devpocket/runtime';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesDriver } from '../src';
import { ApiProxy } from './api-proxy';
import { ApiClient, pathOf } from '../src/api-client';
import { readCredentials } from '../src/credentials';
import { type KubeObject, type Manifest } from '../src/kube-objects';
import { claim, pod } from '../src/manifests';
import { environmentOf, LABEL, namespaceOf } from '../src/names';
import { namespaceManifests } from '../src/namespace-manifests';
import { linesOf } from '../src/watch-cache';

/** Present on the cluster without a registry: a shell, busybox and a user 1000. */
export const TEST_IMAGE = 'devpocket/tiny:1';
export const TEST_CLUSTER = 'c00000000000000000000001';

/** What the driver makes of a spec: for its user, and for itself. */
export function environmentManifests(spec: EnvironmentSpec): {
  readonly shared: readonly Manifest[];
  readonly own: readonly Manifest[];
} {
  return {
    shared: namespaceManifests(spec.install, spec.userId, spec.quota),
    own: [claim(spec, spec.install, OPTIONS, null), pod(spec, spec.install, OPTIONS)],
  };
}

const OPTIONS: ClusterOptions = {
  cpuRequestPercent: 5,
  memoryRequestPercent: 25,
  storageClass: null,
  runtimeClassName: null,
  nodeSelector: {},
  tolerations: [],
  imagePullSecrets: [],
};

/** Clusters as an administrator would have registered them. */
export class ListedClusters extends ClusterDirectory {
  constructor(readonly connections: ClusterConnection[]) {
    super();
  }

  list(): Promise<readonly ClusterConnection[]> {
    return Promise.resolve(this.connections);
  }

  find(clusterId: string): Promise<ClusterConnection | null> {
    return Promise.resolve(this.connections.find((connection) => connection.clusterId === clusterId) ?? null);
  }
}

/** Of the administrator, who looks behind drivers and acts behind their backs. */
export function testKubeConfig(): string {
  const file = process.env.KUBECONFIG;
  if (!file) throw new Error('KUBECONFIG names no cluster to test on');
  return readFileSync(file, 'utf8');
}

/** For drivers: of an account with the rights that a server is given, where whoever runs the suites made one (`scripts/jest`). */
export function serverKubeConfig(): string {
  const file = process.env.DEVPOCKET_TEST_SERVER_KUBECONFIG;
  return file ? readFileSync(file, 'utf8') : testKubeConfig();
}

export function testConnection(options: Partial<ClusterOptions> = {}, kubeConfig = serverKubeConfig()): ClusterConnection {
  return {
    clusterId: TEST_CLUSTER,
    name: 'test',
    revision: 1,
    kubeConfig,
    endpoint: null,
    options: { ...OPTIONS, ...options },
  };
}

/** A proxy whose clients are the account of this kubeconfig, whoever they are. */
export async function openProxy(kubeConfig: string): Promise<ApiProxy> {
  return ApiProxy.open(await readCredentials(testConnection({}, kubeConfig)));
}

/** A driver on the real cluster, and the cluster itself to look behind it. */
export class TestCluster {
  readonly clusters: ListedClusters;
  readonly told: string[] = [];
  private readonly drivers: KubernetesDriver[] = [];
  private readonly proxies: ApiProxy[] = [];

  private constructor(
    readonly api: ApiClient,
    readonly install: string,
    connection: ClusterConnection,
  ) {
    this.clusters = new ListedClusters([connection]);
  }

  /** @param kubeConfig of the account that drivers are */
  static async open(
    install: string,
    options: Partial<ClusterOptions> = {},
    kubeConfig = serverKubeConfig(),
  ): Promise<TestCluster> {
    const api = new ApiClient(await readCredentials(testConnection({}, testKubeConfig())));
    return new TestCluster(api, install, testConnection(options, kubeConfig));
  }

  /** From here on drivers go through a proxy. */
  async proxied(): Promise<ApiProxy> {
    const [connection = testConnection()] = this.clusters.connections;
    const proxy = await openProxy(connection.kubeConfig ?? '');
    this.proxies.push(proxy);
    this.clusters.connections[0] = { ...connection, revision: 2, kubeConfig: proxy.kubeConfig };
    return proxy;
  }

  place(environmentId: string, userId = 'u'): Place {
    return { environmentId, userId, clusterId: TEST_CLUSTER };
  }

  spec(environmentId: string, incarnation: number, more: Partial<EnvironmentSpec> = {}): EnvironmentSpec {
    const resources = { cpuMillis: 500, memoryBytes: 64 * 2 ** 20, storageBytes: 64 * 2 ** 20 };
    return {
      ...this.place(environmentId),
      install: this.install,
      incarnation,
      name: 'test',
      image: TEST_IMAGE,
      defaultPort: null,
      resources,
      environmentVariables: {},
      startupCommands: [],
      quota: { active: 100, kept: 100, each: resources },
      readOnlyRoot: false,
      soleUser: false,
      ...more,
    };
  }

  /** Objects of this installation, or of one user, as `kind name`; the namespaces included. */
  async left(userId?: string): Promise<readonly string[]> {
    const query = { labelSelector: `${LABEL.install}=${this.install}${userId === undefined ? '' : `,${LABEL.user}=${userId}`}` };
    const kinds = ['namespaces', 'pods', 'persistentvolumeclaims', 'secrets', 'services', 'serviceaccounts'];
    const lists = await Promise.all(
      kinds.map(async (kind) => {
        const { items } = await this.api.list<KubeObject>(`/api/v1/${kind}`, { query });
        return items.map(({ metadata }) => `${kind} ${metadata?.name ?? ''}`);
      }),
    );
    return lists.flat();
  }

  /** Deletes the pods of an environment, as somebody else would. */
  async rob(environmentId: string): Promise<void> {
    const query = { labelSelector: `${LABEL.install}=${this.install},${LABEL.environment}=${environmentId}` };
    const { items } = await this.api.list<KubeObject>('/api/v1/pods', { query });
    for (const { metadata } of items)
      await this.api.delete(pathOf('Pod', 'v1', metadata?.namespace ?? null, metadata?.name), { graceSeconds: 1 });
  }

  /** Tells at each change how many pods an environment has, until it is aborted. */
  async watchPods(signal: AbortSignal, onChange: (environmentId: string, pods: number) => void): Promise<void> {
    const query = { labelSelector: `${LABEL.install}=${this.install}`, watch: true, timeoutSeconds: 3_600 };
    const present = new Map<string, string>();
    const stream = await this.api.stream('/api/v1/pods', { query, signal });
    try {
      for await (const line of linesOf(stream)) {
        const { type, object } = JSON.parse(line.toString('utf8')) as { readonly type: string; readonly object: KubeObject };
        const environmentId = environmentOf(object) ?? '';
        if (type === 'DELETED') present.delete(object.metadata?.name ?? '');
        else present.set(object.metadata?.name ?? '', environmentId);
        onChange(environmentId, [...present.values()].filter((one) => one === environmentId).length);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Deletes a user's namespace, as somebody else would. */
  async raze(userId: string): Promise<void> {
    await this.api.delete(pathOf('Namespace', 'v1', null, namespaceOf(this.install, userId)));
  }

  async driver(): Promise<KubernetesDriver> {
    const tell = (message: string): void => void this.told.push(message);
    const driver = new KubernetesDriver({
      chosen: 'for a test',
      install: () => Promise.resolve(this.install),
      clusters: this.clusters,
      clock: new SystemClock(),
      terminalBufferBytes: 1_048_576,
      log: { info: tell, warn: tell, error: tell },
    });
    this.drivers.push(driver);
    await driver.open();
    return driver;
  }

  namespaces(): Promise<readonly KubeObject[]> {
    return this.api
      .list<KubeObject>('/api/v1/namespaces', { query: { labelSelector: `${LABEL.install}=${this.install}` } })
      .then(({ items }) => items);
  }

  /** Ends what was opened here, removes everything of this installation and waits until it has gone. */
  async close(): Promise<void> {
    for (const driver of this.drivers) await driver.close({ keepTerminals: false });
    for (const proxy of this.proxies) await proxy.stop();
    for (const { metadata } of await this.namespaces()) {
      await this.api.delete(pathOf('Pod', 'v1', metadata?.name ?? ''), { graceSeconds: 0 });
      await this.api.delete(pathOf('Namespace', 'v1', null, metadata?.name ?? ''));
    }
    while ((await this.namespaces()).length > 0) await delay(200);
    this.api.close();
  }
}

/** Looks until it is so. */
export async function reach(
  driver: RuntimeDriver,
  place: Place,
  seen: Sighting['seen'],
  { within = 30_000, incarnation }: { readonly within?: number; readonly incarnation?: number } = {},
): Promise<Sighting> {
  const end = performance.now() + within;
  for (;;) {
    const sighting = await driver.look(place);
    const right = sighting.seen === seen;
    if (right && (incarnation === undefined || (sighting.seen !== 'absent' && sighting.incarnation === incarnation)))
      return sighting;
    if (performance.now() > end) throw new Error(`not ${seen} within ${within / 1000} s, but ${JSON.stringify(sighting)}`);
    await delay(50);
  }
}
