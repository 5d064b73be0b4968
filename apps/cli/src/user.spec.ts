import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose from 'mongoose';
import { Backend } from './backend';
import { type Services, withServices } from './backend.module';
import { CliSettings } from './cli-settings';
import { AuditListCommand } from './commands/audit.command';
import {
  UserCreateCommand,
  UserDeactivateCommand,
  UserListCommand,
  UserPromoteCommand,
  UserResetPasswordCommand,
} from './commands/user.command';
import { tell } from './user-error';

/** A process loads the services only when a command needs them. */
class TestBackend extends Backend {
  constructor(private readonly own: CliSettings) {
    super(own);
  }

  override use<T>(work: (services: Services) => Promise<T>): Promise<T> {
    return withServices(this.own.get(), null, work);
  }
}

function dataOf(line: string): Record<string, unknown>[] {
  return (JSON.parse(line) as { readonly ok: true; readonly data: Record<string, unknown>[] }).data;
}

describe('the commands of accounts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-cli-'));
  const database = `test_cli_users_${process.pid}`;
  const envFile = process.env.ENV_FILE;
  const settings = (): CliSettings => new CliSettings();
  const backend = (): Backend => new TestBackend(settings());
  let output = '';

  beforeAll(() => {
    const file = join(folder, 'cli.env');
    writeFileSync(file, `DATA_DIR=${folder}\nDATABASE_NAME=${database}\nBCRYPT_ROUNDS=4\n`);
    process.env.ENV_FILE = file;
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      output += String(text);
      return true;
    });
  });
  afterAll(async () => {
    jest.restoreAllMocks();
    if (envFile === undefined) delete process.env.ENV_FILE;
    else process.env.ENV_FILE = envFile;
    const url = process.env.MONGODB_URL;
    if (url) {
      const connection = await mongoose.createConnection(url, { dbName: database }).asPromise();
      await connection.dropDatabase();
      await connection.close();
    }
    rmSync(folder, { recursive: true });
  });

  /** What was told, and the exit code. */
  const run = async (work: Promise<void>): Promise<{ readonly code: number; readonly told: string }> => {
    output = '';
    const code = await work.then(
      () => 0,
      (error: unknown) => {
        const told = tell(error);
        output += told?.message ?? String(error);
        return told?.exitCode ?? 70;
      },
    );
    return { code, told: output };
  };
  const list = async (): Promise<Record<string, unknown>[]> => {
    const { told } = await run(new UserListCommand(backend()).run([], { json: true }));
    return dataOf(told);
  };
  const signsIn = (name: string, password: string): Promise<boolean> =>
    backend().use(async ({ signIn }) =>
      signIn.signIn(name, password, { ip: null, userAgent: null, requestId: null }).then(
        () => true,
        () => false,
      ),
    );
  const passwordIn = (told: string): string => /^Password: (\S+)$/m.exec(told)?.[1] ?? '';

  it('make, promote, shut out and let in, set a password, and leave a trail', async () => {
    const made = await run(new UserCreateCommand(backend(), settings()).run([], { username: 'ada', email: 'ada@example.com' }));
    expect(made).toMatchObject({ code: 0, told: expect.stringMatching(/^Created ada /) as string });
    const first = passwordIn(made.told);
    expect(await signsIn('ada', first)).toBe(true);
    expect(await run(new UserPromoteCommand(backend()).run(['ADA@example.com'], {}))).toEqual({
      code: 0,
      told: 'ada is an administrator\n',
    });
    expect(await list()).toMatchObject([{ username: 'ada', role: 'admin', is_active: true }]);

    expect(await run(new UserDeactivateCommand(backend()).run(['ada'], {}))).toEqual({ code: 0, told: 'ada is deactivated\n' });
    expect(await signsIn('ada', first)).toBe(false);
    expect(await run(new UserDeactivateCommand(backend()).run(['ada'], { undo: true }))).toMatchObject({
      told: 'ada is active\n',
    });

    const reset = await run(new UserResetPasswordCommand(backend(), settings()).run(['ada'], {}));
    const next = passwordIn(reset.told);
    expect([reset.code, next.length > 20, await signsIn('ada', first), await signsIn('ada', next)]).toEqual([
      0,
      true,
      false,
      true,
    ]);

    const [{ id } = {}] = await list();
    const trail = await run(new AuditListCommand(backend()).run([], { target: `user:${String(id)}`, json: true }));
    const actions = dataOf(trail.told).map(({ action, actor }) => [action, actor]);
    expect(actions).toEqual(
      expect.arrayContaining([
        ['user.password_set', null],
        ['user.changed', null],
      ]),
    );
    expect(actions.filter(([action]) => action === 'user.changed')).toHaveLength(3);
    expect(trail.told).not.toContain(next);
    const words = await run(new AuditListCommand(backend()).run([], { action: 'user.password_set', limit: 1 }));
    expect(words.told).toMatch(new RegExp(`^\\S+Z  success  user\\.password_set +-  user:${String(id)}`));
  });

  it('say what is wrong', async () => {
    for (const command of [
      () => new UserPromoteCommand(backend()).run(['nobody'], {}),
      () => new UserDeactivateCommand(backend()).run(['nobody'], {}),
      () => new UserResetPasswordCommand(backend(), settings()).run(['nobody'], {}),
    ])
      expect(await run(command())).toEqual({ code: 3, told: 'There is no account "nobody"' });
    const audit = new AuditListCommand(backend());
    expect(() => audit.limit('0')).toThrow(/--limit must be/);
    expect(() => audit.from('yesterday')).toThrow(/--from must be a time/);
  });
});
