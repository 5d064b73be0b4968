import { Migrator, type OpenDatabase } from '@devpocket/database';
import { SystemClock } from '@devpocket/kernel';
import { getConnectionToken } from '@nestjs/mongoose';
import { FakeClusterInspector, FakeDriver, kubeConfig } from '@testing/runtime';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose, { type Connection } from 'mongoose';
import { TestApi } from '../../api/testing';
import { Backend } from './backend';
import { type Services, withServices } from './backend.module';
import { CliSettings } from './cli-settings';
import { DbBackupCommand, DbIndexesCommand, DbMigrateCommand, DbRestoreCommand } from './commands/db.command';
import { UserListCommand } from './commands/user.command';
import { ClusterAddCommand } from './commands/cluster.command';
import { withDatabase } from './open-as-is';
import { tell } from './user-error';

class TestBackend extends Backend {
  constructor(private readonly own: CliSettings) {
    super(own);
  }

  override use<T>(work: (services: Services) => Promise<T>, options: { readonly prepare?: boolean } = {}): Promise<T> {
    return withServices(this.own.get(), new FakeClusterInspector(), work, options);
  }

  override open<T>(work: (database: OpenDatabase) => Promise<T>): Promise<T> {
    return withDatabase(this.own.get().database, work);
  }
}

interface Outcome {
  readonly code: number;
  readonly told: string;
  readonly data: Readonly<Record<string, unknown>>;
}

describe('the commands of the database', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-cli-'));
  const envFile = process.env.ENV_FILE;
  const given = process.env.MONGODB_URL;
  const databases = new Set<string>();
  let output = '';

  /** The settings of one installation; `embedded`: whatever MONGODB_URL says. */
  const at = (name: string, where: 'given' | 'embedded' = 'given', env: Readonly<Record<string, string>> = {}): void => {
    const file = join(folder, `${name}.env`);
    const database = `test_cli_db_${process.pid}_${name}`;
    databases.add(database);
    const lines = { DATA_DIR: join(folder, name), DATABASE_NAME: database, BCRYPT_ROUNDS: '4', ...env };
    writeFileSync(
      file,
      Object.entries(lines)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    );
    process.env.ENV_FILE = file;
    if (where === 'given' && given) process.env.MONGODB_URL = given;
    else delete process.env.MONGODB_URL;
  };
  const settings = () => new CliSettings();
  const backend = () => new TestBackend(settings());
  const run = async (work: Promise<void>): Promise<Outcome> => {
    output = '';
    const failure: unknown = await work.then(
      () => null,
      (error: unknown) => error,
    );
    const told = failure === null ? null : tell(failure);
    if (failure !== null && !told) throw new Error('a fault of ours', { cause: failure });
    const data = output.startsWith('{')
      ? (JSON.parse(output) as { data: Outcome['data'] }).data
      : ((told?.data ?? {}) as Outcome['data']);
    return { code: told?.exitCode ?? 0, told: output + (told?.message ?? ''), data };
  };
  const backUp = (out: string, json = true) => run(new DbBackupCommand(backend(), settings()).run([], { out, json }));
  const restore = (file: string, force = false, json = true) =>
    run(new DbRestoreCommand(backend(), settings()).run([file], { force, json }));
  const notes = ({ connection }: OpenDatabase) => connection.collection<{ _id: string }>('notes');
  const names = () =>
    backend().open(async (database) => (await notes(database).find({}).sort({ _id: 1 }).toArray()).map(({ _id }) => _id));
  const add = (name: string) => backend().open((database) => notes(database).insertOne({ _id: name }));

  beforeAll(() => {
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      output += String(text);
      return true;
    });
  });
  afterAll(async () => {
    jest.restoreAllMocks();
    if (envFile === undefined) delete process.env.ENV_FILE;
    else process.env.ENV_FILE = envFile;
    if (given) {
      process.env.MONGODB_URL = given;
      for (const dbName of databases) {
        const connection = await mongoose.createConnection(given, { dbName }).asPromise();
        await connection.dropDatabase();
        await connection.close();
      }
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('make the same indexes as a server, and tell what is none of them', async () => {
    at('indexes');
    const first = await run(new DbIndexesCommand(backend()).run([], { json: true }));
    const made = first.data as unknown as { collection: string; made: string[]; kept: string[]; unexpected: string[] }[];
    const api = await new TestApi(() => [new FakeDriver({ clock: new SystemClock() })]).start();
    const { models } = api.running.app.get<Connection>(getConnectionToken());
    const servers = Object.values(models).map(({ collection }) => collection.collectionName);
    await api.close();
    expect(made.map(({ collection }) => collection).toSorted()).toEqual(servers.toSorted());
    expect(made.find(({ collection }) => collection === 'environments')?.made).toContain('user_id_1_active_slot_1');
    await backend().open(({ connection }) => connection.collection('users').createIndex({ own: 1 }, { name: 'own' }));
    const again = await run(new DbIndexesCommand(backend()).run([], {}));
    expect(again.told).toMatch(/^users +\d+ kept; unexpected, left as they are: own$/m);
    expect(again.told).not.toContain('made');
  });

  it('tell of migrations', async () => {
    at('migrate');
    expect(await run(new DbMigrateCommand(backend()).run([], { json: true }))).toMatchObject({
      code: 0,
      data: { done: [], pending: [], unknown: [], applied: [] },
    });
    expect((await run(new DbMigrateCommand(backend()).run([], {}))).told).toBe('Nothing to do; 0 done before\n');
    const later = { id: '9999-later', up: () => Promise.resolve() };
    await backend().open(({ connection }) =>
      new Migrator(connection, new SystemClock(), { migrations: [later], log: () => undefined }).run(),
    );
    for (const command of [() => new DbMigrateCommand(backend()).run([], {}), () => new UserListCommand(backend()).run([], {})])
      expect(await run(command())).toMatchObject({ code: 1, told: expect.stringContaining('9999-later') as string });
    expect(await run(new DbMigrateCommand(backend()).run([], { check: true, json: true }))).toMatchObject({
      code: 0,
      data: { unknown: ['9999-later'] },
    });
  });

  it('move an installation to the other database and back, and keep what was there', async () => {
    at('home', 'embedded');
    await add('ada');
    const file = join(folder, 'home.backup');
    const made = await backUp(file);
    expect(made).toMatchObject({
      code: 0,
      data: {
        file,
        source: 'embedded',
        consistent: true,
        not_included: { secrets: [join(folder, 'home', 'encryption-key'), join(folder, 'home', 'secret-key')] },
      },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await backUp(file)).toMatchObject({ code: 1, told: expect.stringContaining('exists already') as string });

    at('away');
    const restored = await restore(file);
    expect(restored).toMatchObject({
      code: 0,
      data: { saved: null, source: 'embedded', unopened: [], documents: made.data.documents },
    });
    expect(await names()).toEqual(['ada']);
    await add('bob');
    const back = join(folder, 'away.backup');
    expect(await backUp(back)).toMatchObject({ code: 0, data: { source: given ? 'mongodb' : 'embedded' } });

    at('home', 'embedded');
    await add('carol');
    expect(await restore(back)).toMatchObject({
      code: 1,
      told: expect.stringMatching(/is not empty .*notes.*--force/s) as string,
    });
    expect(await names()).toEqual(['ada', 'carol']);
    const forced = await restore(back, true);
    expect(forced.code).toBe(0);
    expect(await names()).toEqual(['ada', 'bob']);
    const saved = String(forced.data.saved);
    expect(readdirSync(join(folder, 'home', 'backups')).map((name) => join(folder, 'home', 'backups', name))).toEqual([saved]);
    expect((await restore(saved, true, false)).told).toMatch(/^Restored \d+ documents/);
    expect(await names()).toEqual(['ada', 'carol']);
  });

  it('restore nothing of a file that is not whole, and nothing beneath a server', async () => {
    at('whole');
    await add('ada');
    const file = join(folder, 'whole.backup');
    await backUp(file);
    const { size } = statSync(file);
    truncateSync(file, size - 20);
    expect(await restore(file, true)).toMatchObject({ code: 2, told: expect.stringContaining('no whole backup') as string });
    expect(await restore(join(folder, 'absent'), true)).toMatchObject({ code: 2 });
    expect(await names()).toEqual(['ada']);
    expect(existsSync(join(folder, 'whole', 'backups'))).toBe(false);

    at('busy', 'embedded');
    const good = join(folder, 'good.backup');
    await add('ada');
    await backend().use(async () => {
      expect(await backUp(good)).toMatchObject({ code: 0 });
      expect(await restore(good, true)).toMatchObject({ code: 1, told: expect.stringContaining('Stop it first') as string });
    });
  });

  it('say what the keys of a server do not open', async () => {
    const [mine, other] = ['ab'.repeat(32), 'cd'.repeat(32)];
    at('keys', 'given', { ENCRYPTION_KEY: mine, SECRET_KEY: 's'.repeat(32) });
    const kubeFile = join(folder, 'kubeconfig.yaml');
    writeFileSync(kubeFile, kubeConfig());
    await run(new ClusterAddCommand(backend(), settings()).run(['home'], { kubeconfig: kubeFile }));
    const file = join(folder, 'keys.backup');
    expect(await backUp(file)).toMatchObject({ data: { not_included: { secrets: ['ENCRYPTION_KEY', 'SECRET_KEY'] } } });
    at('others', 'given', { ENCRYPTION_KEY: other });
    const { code, told, data } = await restore(file);
    expect([code, data.unopened]).toMatchObject([1, [{ name: 'home' }]]);
    expect(told).toContain('do not open with the keys of this server');
  });
});
