import { SystemClock } from '@devpocket/kernel';
import { type ClusterConnection, ClusterDirectory } from '@devpocket/runtime';
import { FakeDriver } from '@testing/runtime';
import { testSettings } from '@testing/config';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestApi } from '../testing';
import { runtimesOf } from './runtime-drivers';

const drivers = () => [new FakeDriver({ clock: new SystemClock() })];

const CLUSTER: ClusterConnection = {
  clusterId: 'c00000000000000000000001',
  name: 'one',
  revision: 1,
  kubeConfig: null,
  endpoint: null,
  options: {
    cpuRequestPercent: 5,
    memoryRequestPercent: 25,
    storageClass: null,
    runtimeClassName: null,
    nodeSelector: {},
    tolerations: [],
    imagePullSecrets: [],
  },
};

class Directory extends ClusterDirectory {
  constructor(private readonly clusters: readonly ClusterConnection[]) {
    super();
  }

  list(): Promise<readonly ClusterConnection[]> {
    return Promise.resolve(this.clusters);
  }

  find(): Promise<null> {
    return Promise.resolve(null);
  }
}

describe('a start', () => {
  it('says what settings do not do, and comes about without a Redis that answers', async () => {
    const api = new TestApi(drivers, { REDIS_URL: 'redis://:secret-word@127.0.0.1:1' });
    await api.start();
    const { summary, warnings } = api.running;
    const told = warnings.join('\n');
    await api.close();
    expect(summary).toContain('Redis      does not answer yet');
    expect(summary.join('\n')).not.toContain('secret-word');
    expect(told).toMatch(/SMTP_URL is not set: accounts count as verified at once, and mails are written/);
  });

  it.each(['PORT', 'METRICS_PORT'])('names %s when it is in use', async (name) => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const api = new TestApi(drivers, { [name]: String((other.address() as AddressInfo).port) });
    const failed = await api.start().catch(String);
    await api.close();
    await new Promise((resolve) => other.close(resolve));
    expect(failed).toMatch(new RegExp(`\\b${name}=\\d+: .*in use`));
  });

  it.each(['nowhere.invalid', '203.0.113.1'])('names HOST when it is %s', async (host) => {
    const api = new TestApi(drivers, { HOST: host });
    const failed = await api.start().catch(String);
    await api.close();
    expect(failed).toContain(`HOST=${host}`);
  });

  it.each(['mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100', 'mongodb://a:hunter2@', 'mongodb://a:hunter2@b/?c=d'])(
    'names MONGODB_URL when it is %s, and repeats no password',
    async (url) => {
      const api = new TestApi(drivers, { MONGODB_URL: url });
      const failed = await api.start().catch(String);
      rmSync(api.dataDir, { recursive: true });
      expect(failed).toContain('MONGODB_URL');
      expect(failed).not.toContain('hunter2');
    },
  );

  it('puts users into clusters where there are any, and on this machine in production only when told to', async () => {
    const DATA_DIR = mkdtempSync(join(tmpdir(), 'devpocket-production-'));
    const production = {
      DATA_DIR,
      ENVIRONMENT: 'production',
      SECRET_KEY: 'k'.repeat(32),
      ENCRYPTION_KEY: 'ab'.repeat(32),
      EMBEDDED_DB_IN_PRODUCTION: 'true',
      // Not the one that this machine may have.
      DOCKER_HOST: `unix://${DATA_DIR}/docker.sock`,
    };
    const kinds = async (env: Record<string, string>, clusters: readonly ClusterConnection[] = []): Promise<unknown> => {
      const needs = { clusters: new Directory(clusters), install: () => Promise.resolve('one'), clock: new SystemClock() };
      return (await runtimesOf(testSettings({ ...production, ...env })).drivers(needs)).map(({ kind }) => kind);
    };
    const refusal = /RUNTIME .*LOCAL_RUNTIME_IN_PRODUCTION=true/;
    await expect(kinds({})).rejects.toThrow(refusal);
    await expect(kinds({ RUNTIME: 'local' }, [CLUSTER])).rejects.toThrow(refusal);
    expect(await kinds({ RUNTIME: 'docker' })).toEqual(['docker']);
    expect(await kinds({ LOCAL_RUNTIME_IN_PRODUCTION: 'true' })).toEqual(['local']);
    expect(await kinds({}, [CLUSTER])).toEqual(['kubernetes']);
    expect(await kinds({ RUNTIME: 'kubernetes' })).toEqual(['kubernetes']);
    rmSync(DATA_DIR, { recursive: true });
  });
});
