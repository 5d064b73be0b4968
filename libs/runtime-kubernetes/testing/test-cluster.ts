import { SystemClock } from '@devpocket/kernel';
import { type ClusterConnection, ClusterDirectory, type ClusterOptions } from '@devpocket/runtime';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesDriver } from '../src';
import { ApiClient, pathOf } from '../src/api-client';
import { readCredentials } from '../src/credentials';
import { type KubeObject } from '../src/kube-objects';
import { LABEL } from '../src/names';

/** Present on the cluster without a registry: a shell, busybox and a user 1000. */
export const TEST_IMAGE = 'devpocket/tiny:1';
export const TEST_CLUSTER = 'c00000000000000000000001';

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

export function testKubeConfig(): string {
  const file = process.env.KUBECONFIG;
  if (!file) throw new Error('KUBECONFIG names no cluster to test on');
  return readFileSync(file, 'utf8');
}

export function testConnection(options: Partial<ClusterOptions> = {}, endpoint: string | null = null): ClusterConnection {
  return {
    clusterId: TEST_CLUSTER,
    name: 'test',
    revision: 1,
    kubeConfig: testKubeConfig(),
    endpoint,
    options: { ...OPTIONS, ...options },
  };
}

/** A driver on the real cluster, and the cluster itself to look behind it. */
export class TestCluster {
  readonly clusters: ListedClusters;
  readonly told: string[] = [];

  private constructor(
    readonly api: ApiClient,
    readonly install: string,
    connection: ClusterConnection,
  ) {
    this.clusters = new ListedClusters([connection]);
  }

  static async open(
    install: string,
    options: Partial<ClusterOptions> = {},
    endpoint: string | null = null,
  ): Promise<TestCluster> {
    const api = new ApiClient(await readCredentials(testConnection()));
    return new TestCluster(api, install, testConnection(options, endpoint));
  }

  async driver(): Promise<KubernetesDriver> {
    const tell = (message: string): void => void this.told.push(message);
    const driver = new KubernetesDriver({
      install: () => Promise.resolve(this.install),
      clusters: this.clusters,
      clock: new SystemClock(),
      log: { info: tell, warn: tell, error: tell },
    });
    await driver.open();
    return driver;
  }

  namespaces(): Promise<readonly KubeObject[]> {
    return this.api
      .list<KubeObject>('/api/v1/namespaces', { query: { labelSelector: `${LABEL.install}=${this.install}` } })
      .then(({ items }) => items);
  }

  /** Removes everything of this installation and waits until it has gone. */
  async close(): Promise<void> {
    for (const { metadata } of await this.namespaces()) {
      await this.api.delete(pathOf('Pod', 'v1', metadata?.name ?? ''), { graceSeconds: 0 });
      await this.api.delete(pathOf('Namespace', 'v1', null, metadata?.name ?? ''));
    }
    while ((await this.namespaces()).length > 0) await delay(200);
    this.api.close();
  }
}
