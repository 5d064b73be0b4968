import { SystemClock } from '@devpocket/kernel';
import { type ClusterConnection, ClusterDirectory, RuntimeError } from '@devpocket/runtime';
import { KubernetesDriver } from './kubernetes.driver';

const PLACE = { environmentId: '0123456789abcdef0123abcd', userId: 'u', clusterId: 'c00000000000000000000001' };
const STOP = { incarnation: 1, graceMs: 0, kill: true };
const resources = { cpuMillis: 1, memoryBytes: 1, storageBytes: 1 };
const SPEC = {
  ...PLACE,
  install: 'gone',
  incarnation: 1,
  name: 'test',
  image: 'none',
  defaultPort: null,
  resources,
  environmentVariables: {},
  startupCommands: [],
  quota: { active: 1, kept: 1, each: resources },
  readOnlyRoot: false,
  soleUser: false,
};

class Directory extends ClusterDirectory {
  constructor(readonly find: () => Promise<ClusterConnection | null>) {
    super();
  }

  list(): Promise<readonly ClusterConnection[]> {
    return Promise.resolve([]);
  }
}

function driverOf(find: () => Promise<ClusterConnection | null>): KubernetesDriver {
  const quiet = (): void => undefined;
  return new KubernetesDriver({
    chosen: 'for a test',
    install: () => Promise.resolve('gone'),
    clusters: new Directory(find),
    clock: new SystemClock(),
    terminalBufferBytes: 1_048_576,
    log: { info: quiet, warn: quiet, error: quiet },
  });
}

describe('environments of a cluster', () => {
  it('that is registered no more are gone with it', async () => {
    const driver = driverOf(() => Promise.resolve(null));
    expect(await driver.look(PLACE)).toEqual({ seen: 'absent' });
    await driver.stop(PLACE, STOP);
    await driver.destroy(PLACE);
    await expect(driver.start(SPEC)).rejects.toMatchObject({ kind: 'invalid' });
    await expect(driver.openTerminal(PLACE, { sessionId: 'a', cols: 80, rows: 24 })).rejects.toMatchObject({ kind: 'gone' });
    expect([await driver.list(), (await driver.usage([PLACE])).size]).toEqual([[], 0]);
  });

  it('that cannot be opened now are not answered for', async () => {
    const driver = driverOf(() => Promise.reject(new RuntimeError('unreachable', 'locked')));
    for (const act of [driver.look(PLACE), driver.stop(PLACE, STOP), driver.destroy(PLACE), driver.start(SPEC)])
      await expect(act).rejects.toMatchObject({ kind: 'unreachable', message: 'locked' });
  });
});
