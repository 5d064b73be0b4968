import { type ClusterInspector, RuntimeError } from '@devpocket/runtime';
import { FakeClusterInspector, KUBE_SECRETS, kubeConfig } from '@testing/runtime';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose from 'mongoose';
import { Backend } from './backend';
import { type Services, withServices } from './backend.module';
import { CliSettings } from './cli-settings';
import {
  ClusterActivateCommand,
  ClusterAddCommand,
  ClusterCheckCommand,
  ClusterDrainCommand,
  ClusterListCommand,
} from './commands/cluster.command';
import { KeysRotateCommand } from './commands/keys.command';
import { tell } from './user-error';

/** With a judge of its own; a process loads both only when a command needs them. */
class TestBackend extends Backend {
  constructor(
    private readonly own: CliSettings,
    private readonly judge: ClusterInspector,
  ) {
    super(own);
  }

  override use<T>(work: (services: Services) => Promise<T>): Promise<T> {
    return withServices(this.own.get(), this.judge, work);
  }
}

const [OLD, NEW] = ['ab'.repeat(32), 'cd'.repeat(32)];

describe('the commands of clusters', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-cli-'));
  const kubeFile = join(folder, 'kubeconfig.yaml');
  const inspector = new FakeClusterInspector();
  const database = `test_cli_${process.pid}`;
  let output = '';

  /** What `ENV_FILE` holds from now on; each command reads it anew, as a process would. */
  const configure = (env: Readonly<Record<string, string>>): void => {
    const file = join(folder, 'production.env');
    const lines = { DATA_DIR: folder, DATABASE_NAME: database, ENCRYPTION_KEY: OLD, ...env };
    writeFileSync(
      file,
      Object.entries(lines)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    process.env.ENV_FILE = file;
  };
  const settings = (): CliSettings => new CliSettings();
  const backend = (): Backend => new TestBackend(settings(), inspector);
  /** The exit code, with what was told in `output`. */
  const exit = async (work: Promise<void>): Promise<number> => {
    try {
      await work;
      return 0;
    } catch (error) {
      const told = tell(error);
      output += told?.message ?? String(error);
      return told?.exitCode ?? 70;
    }
  };
  const add = (args: string[], options: Parameters<ClusterAddCommand['run']>[1]): Promise<number> =>
    exit(new ClusterAddCommand(backend(), settings()).run(args, options));
  const list = async (): Promise<unknown> => {
    output = '';
    await new ClusterListCommand(backend()).run([], { json: true });
    return (JSON.parse(output) as { readonly data: unknown }).data;
  };

  beforeAll(() => {
    writeFileSync(kubeFile, kubeConfig());
    configure({});
  });
  beforeEach(() => {
    output = '';
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      output += String(text);
      return true;
    });
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(async () => {
    delete process.env.ENV_FILE;
    const url = process.env.MONGODB_URL;
    if (url) {
      const connection = await mongoose.createConnection(url, { dbName: database }).asPromise();
      await connection.dropDatabase();
      await connection.close();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('add one, and update it when it is there', async () => {
    expect(await add(['home'], { kubeconfig: kubeFile, region: 'eu-central' })).toBe(0);
    expect(await add(['home'], { kubeconfig: kubeFile, default: true })).toBe(0);
    expect(output).toMatch(/^Added .*home.*\nUpdated .*home.* default\n$/);
    expect(await list()).toMatchObject([{ name: 'home', region: 'eu-central', is_default: true, status: 'active' }]);
  });

  it.each([
    ['as a path', () => kubeFile],
    ['as base64', () => Buffer.from(kubeConfig()).toString('base64')],
  ])('add one from the environment, %s', async (_what, value) => {
    configure({ CLUSTER_NAME: 'from env', CLUSTER_REGION: 'us-west', CLUSTER_DEFAULT: 'true', CLUSTER_KUBECONFIG: value() });
    expect(await add([], { fromEnv: true, json: true })).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      ok: true,
      data: { name: 'from env', region: 'us-west', is_default: true, environments_count: 0 },
    });
    configure({});
  });

  it('work beside a process that holds the database', async () => {
    await backend().use(async () => expect(await list()).toHaveLength(2));
  });

  it('refuse with the code of the reason, and never repeat what may be a secret', async () => {
    expect(await add([], { kubeconfig: kubeFile })).toBe(2);
    expect(await add(['a'], {})).toBe(2);
    expect(await add(['a'], { kubeconfig: join(folder, 'absent') })).toBe(2);
    expect(await add(['a'], { fromEnv: true, kubeconfig: kubeFile })).toBe(2);
    configure({ CLUSTER_KUBECONFIG: `?${KUBE_SECRETS[0]}` });
    expect(await add(['a'], { fromEnv: true })).toBe(2);
    configure({});
    writeFileSync(join(folder, 'plugin'), kubeConfig({ user: `{ exec: { command: ${KUBE_SECRETS[0]} } }` }));
    expect(await add(['a'], { kubeconfig: join(folder, 'plugin') })).toBe(2);
    expect(await exit(new ClusterDrainCommand(backend()).run(['nowhere'], {}))).toBe(3);
    for (const secret of KUBE_SECRETS) expect(output).not.toContain(secret);
  });

  it('drain one, and check all', async () => {
    expect(await exit(new ClusterDrainCommand(backend()).run(['home'], {}))).toBe(0);
    expect(output).toBe('home takes no new environments; it has 0\n');
    expect(await list()).toMatchObject([{ name: 'from env' }, { name: 'home', status: 'maintenance' }]);
    output = '';
    expect(await exit(new ClusterActivateCommand(backend()).run(['home'], {}))).toBe(0);
    expect(output).toBe('home takes new environments\n');
    expect(await list()).toMatchObject([{ name: 'from env' }, { name: 'home', status: 'active' }]);
    expect(await exit(new ClusterCheckCommand(backend()).run([], {}))).toBe(0);
    inspector.readings.set('home', new RuntimeError('refused', 'Unauthorized'));
    output = '';
    expect(await exit(new ClusterCheckCommand(backend()).run(['home'], {}))).toBe(5);
    expect(output).toContain('unhealthy: Unauthorized');
    output = '';
    const told = tell(await new ClusterCheckCommand(backend()).run(['home'], { json: true }).catch((error: unknown) => error));
    expect([output, told]).toMatchObject([
      '',
      { exitCode: 5, error: { code: 'unavailable' }, data: [{ name: 'home', status: 'unhealthy' }] },
    ]);
  });

  it('rotate the key, and say what could not be opened', async () => {
    configure({ ENCRYPTION_KEY: NEW });
    expect(await exit(new KeysRotateCommand(backend()).run([], {}))).toBe(1);
    expect(output).toContain('home: A secret is sealed under the key');
    configure({ ENCRYPTION_KEY: NEW, ENCRYPTION_KEYS_OLD: OLD });
    output = '';
    expect(await exit(new KeysRotateCommand(backend()).run([], { json: true }))).toBe(0);
    expect(JSON.parse(output)).toEqual({ ok: true, data: { renewed: ['from env', 'home'], current: [], unopened: [] } });
    configure({ ENCRYPTION_KEY: NEW });
    inspector.readings.clear();
    expect(await exit(new ClusterCheckCommand(backend()).run([], {}))).toBe(0);
  });
});
