import { isRecord, RestClient } from '@devpocket/client';
import { TEST_IMAGE, type TestCluster, testKubeConfig } from '@testing/runtime-kubernetes';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, ServerProcess } from '../show/server-process';

const PASSWORD = 'Correct-horse-1';
const CLI = join(__dirname, '../../apps/cli/src/main.js');
const RESOURCES = { memory: '64Mi', storage: '16Mi' };

/** The real server on a real cluster, with a user of the admin plan. */
export class KubernetesWorld {
  private constructor(
    readonly server: ServerProcess,
    readonly client: RestClient,
    private readonly cluster: TestCluster,
    private readonly dataDir: string,
  ) {}

  /**
   * @param cluster to look behind the server
   * @param kubeConfig of that cluster, or of what stands before it
   */
  static async open(cluster: TestCluster, kubeConfig = testKubeConfig()): Promise<KubernetesWorld> {
    const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-kube-'));
    const mongo = process.env.MONGODB_URL;
    const env = {
      DATA_DIR: dataDir,
      DATABASE_NAME: `kube_${randomBytes(4).toString('hex')}`,
      RATE_LIMIT_ENABLED: 'false',
      RUNTIME: 'kubernetes',
      ALLOW_CUSTOM_IMAGES: 'true',
      ALLOWED_IMAGE_PATTERNS: TEST_IMAGE,
      ...(mongo ? { MONGODB_URL: mongo } : {}),
    };
    const user = ['user', 'create', '--username', 'bench', '--email', 'bench@example.com', '--admin'];
    await promisify(execFile)(process.execPath, [CLI, ...user], {
      env: { PATH: process.env.PATH ?? '', DEVPOCKET_PASSWORD: PASSWORD, ...env },
    });
    const server = new ServerProcess(await freePort(), env);
    await server.start();
    const client = new RestClient({ url: server.url });
    const world = new KubernetesWorld(server, client, cluster, dataDir);
    await client.login('bench', PASSWORD);
    const me = await client.request('GET', '/auth/me');
    if (isRecord(me)) await client.request('PATCH', `/users/${String(me.id)}`, { subscription_plan: 'admin' });
    await client.login('bench', PASSWORD);
    const added = { name: 'bench', region: 'us-east', is_default: true, max_environments: 100 };
    await client.request('POST', '/clusters', { ...added, kube_config: Buffer.from(kubeConfig).toString('base64') });
    return world;
  }

  /** @param cpu little, where many are to fit on one node */
  async create(name: string, cpu = '100m'): Promise<string> {
    const body = { name, template: 'custom', image: TEST_IMAGE, resources: { cpu, ...RESOURCES } };
    const made = await this.client.request('POST', '/environments', body);
    if (!isRecord(made)) throw new Error('no environment');
    return String(made.id);
  }

  /** How many of the user's environments are shown so. */
  async count(status?: string): Promise<number> {
    const query = status === undefined ? '' : `&status=${status}`;
    const response = await fetch(`${this.server.url}/api/v1/environments?limit=1${query}`, {
      headers: { authorization: `Bearer ${await this.client.accessToken()}` },
    });
    await response.arrayBuffer();
    return Number(response.headers.get('x-total-count'));
  }

  async reach(id: string, status: string): Promise<void> {
    await until(`${id} is ${status}`, async () => (await this.client.environment(id)).status === status);
  }

  /** Deletes every environment, and waits until nothing of them is left in the cluster. */
  async clear(): Promise<void> {
    const environments = await this.client.environments();
    await Promise.all(environments.map(({ id }) => this.client.request('DELETE', `/environments/${id}`)));
    if (environments.length === 0) return;
    const query = { labelSelector: `devpocket.io/env in (${environments.map(({ id }) => id).join(',')})` };
    for (const kind of ['pods', 'persistentvolumeclaims'])
      await until('all are gone', async () => (await this.cluster.api.list(`/api/v1/${kind}`, { query })).items.length === 0);
  }

  async close(): Promise<void> {
    try {
      await this.clear();
    } finally {
      await this.server.end('SIGTERM');
      rmSync(this.dataDir, { recursive: true, force: true });
    }
  }
}

const PATIENCE_MS = 180_000;

export async function until(what: string, done: () => Promise<boolean>, everyMs = 100): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !(await done());) {
    if (performance.now() > end) throw new Error(`Not within ${PATIENCE_MS / 1000} s: ${what}`);
    await delay(everyMs);
  }
}
