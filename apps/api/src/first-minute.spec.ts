import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { answered } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { eventually, localDrivers, PASSWORD, TestApi } from '../testing';

const CLI = resolve('dist/apps/cli/src/main.js');

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command line with `input` as its keyboard. */
function devpocket(args: readonly string[], env: Readonly<Record<string, string>>, input = ''): Promise<Finished> {
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { env: { PATH: process.env.PATH ?? '', ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => done({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

/** The command line in a terminal of its own: script(1) gives it one. */
function onTerminal(args: readonly string[], env: Readonly<Record<string, string>>): OnTerminal {
  const command = [process.execPath, CLI, ...args].join(' ');
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { PATH: process.env.PATH ?? '', SHELL: '/bin/sh', ...env },
  });
  const seen = { text: '' };
  child.stdout.on('data', (chunk: Buffer) => (seen.text += chunk.toString()));
  return { child, seen, code: new Promise((done) => child.once('close', done)) };
}

interface OnTerminal {
  readonly child: ChildProcessWithoutNullStreams;
  readonly seen: { text: string };
  readonly code: Promise<number | null>;
}

describe('the first minute', () => {
  const api = new TestApi(localDrivers);
  const home = mkdtempSync(join(tmpdir(), 'devpocket-home-'));
  const env = { HOME: home, DATA_DIR: join(home, 'data'), RUNTIME: 'local' };
  beforeAll(() => api.start());
  afterAll(async () => {
    await api.close();
    rmSync(home, { recursive: true });
  });

  it('registers, creates and types into a real shell, and ends with its exit code', async () => {
    const first = await devpocket(['try', '--url', api.url], env, 'echo "hel""lo"; pwd; exit 7\n');
    expect(first.stderr).toMatch(/Registered \S+\nConnected to try/);
    expect(first.stdout).toMatch(/hello\r\n/);
    expect(first.stdout).toMatch(/\/workspace\r\n/);
    expect(first.code).toBe(7);
  });

  it('comes back to the same account and environment', async () => {
    const again = await devpocket(['try', '--url', api.url], env, 'exit\n');
    expect(again.stderr).not.toMatch(/Registered/);
    expect(again.code).toBe(0);
    const attached = await devpocket(['attach', 'try', '--url', api.url], env, 'exit 3\n');
    expect(attached.code).toBe(3);
  });

  it('attaches with an API key that may use terminals and nothing else, and ends as its shell was ended', async () => {
    const user = await api.user('scripted');
    const { id } = await answered(user.client.api.POST('/api/v1/environments', { body: { name: 'box', template: 'ubuntu' } }));
    await eventually(async () => (await user.client.environment(id)).status === 'running');
    const body = { name: 'attach', scopes: ['terminal' as const] };
    const { key } = await answered(user.client.api.POST('/api/v1/auth/api-keys', { body }));
    const attached = await devpocket(['attach', id, '--url', api.url], { ...env, DEVPOCKET_API_KEY: key }, 'kill -KILL $$\n');
    expect([attached.stderr, attached.code]).toEqual(['', 137]);
    const named = await devpocket(['attach', 'box', '--url', api.url], { ...env, DEVPOCKET_API_KEY: key });
    expect([named.stderr.includes('scope_missing'), named.code]).toEqual([true, 4]);
  });

  it('is left with Ctrl-] when all was typed, and come back to without a lost or repeated byte', async () => {
    const first = onTerminal(['attach', 'try', '--url', api.url], env);
    first.child.stdin.write(
      "stty -echo; bind 'set enable-bracketed-paste off'; PS1=; echo rea''dy; sleep 0.5; seq 20000; echo fin''ished\n",
    );
    await eventually(() => Promise.resolve(first.seen.text.includes('ready\r')));
    first.child.stdin.write("echo typed be''fore\n\x1dnever typed\n");
    expect(await first.code).toBe(0);
    const [, before = '', args = ''] = /^([^]*?)\r+\n\[left; .*: devpocket (attach .*)\]/.exec(first.seen.text) ?? [];
    const again = onTerminal([...args.split(' '), '--url', api.url], env);
    await eventually(() => Promise.resolve(again.seen.text.includes('typed before\r')));
    again.child.stdin.write('exit 4\n');
    expect(await again.code).toBe(4);
    // Node's raw mode still ends lines its own way.
    const printed = (before + again.seen.text).replaceAll('\r', '');
    const lines = ['ready', ...Array.from({ length: 20_000 }, (_, index) => String(index + 1)), 'finished', 'typed before', ''];
    expect(printed.slice(printed.indexOf('ready\n')).replace(/exit\n$/, '')).toBe(lines.join('\n'));
  });

  it('keeps the account for its owner only, and tells no password', () => {
    const [file = ''] = readdirSync(env.DATA_DIR).filter((name) => name.startsWith('try-'));
    expect(file).not.toBe('');
  });

  it('writes the documents that the server has, without a server or a database', async () => {
    const [out, asyncapi] = [join(home, 'documents/openapi.json'), join(home, 'documents/asyncapi.json')];
    const { code, stdout } = await devpocket(['openapi', 'export', '--out', out, '--json'], { HOME: home });
    expect([code, JSON.parse(stdout)]).toEqual([0, { ok: true, data: { written: [out, asyncapi] } }]);
    const served = await Promise.all(['//openapi.json', '//asyncapi.json'].map((path) => api.call('GET', path)));
    expect(served.map(({ body }) => body)).toEqual(
      [out, asyncapi].map((file) => JSON.parse(readFileSync(file, 'utf8')) as unknown),
    );
  });

  it('says what to do when no server answers', async () => {
    const { code, stderr } = await devpocket(['try', '--url', 'http://127.0.0.1:1'], env);
    expect(stderr).toBe('No server answers at http://127.0.0.1:1. Start one with: npm start\n');
    expect(code).toBe(5);
  });

  it('says what is wrong without a stack trace', async () => {
    const absent = await devpocket(['attach', 'absent', '--url', api.url], env);
    expect([absent.code, absent.stderr]).toEqual([3, 'There is no environment "absent"\n']);
    const faulty = await devpocket(['try'], { ...env, PORT: 'eighty' });
    expect(faulty.code).toBe(2);
    expect(faulty.stderr).toMatch(/PORT must be a whole number/);
    expect(faulty.stderr).not.toMatch(/ at /);
  });

  it.each([
    ['an address that is none', ['try', '--url', 'nonsense'], {}, /--url must be the address of a server/],
    ['an account file that is none', ['try', '--url', 'http://127.0.0.1:1'], {}, /holds no account/],
    ['a DATA_DIR that cannot be', ['user', 'list'], { DATA_DIR: join(__filename, 'below') }, /ENOTDIR/],
    ['a missing argument', ['attach'], {}, /missing required argument/],
    ['a position of no session', ['attach', 'try', '--after', '7'], {}, /--after needs --session/],
    ['a position that is none', ['attach', 'try', '--session', 'a', '--after', '7k'], {}, /--after must be a count of bytes/],
  ] as const)('ends with 2 for %s', async (_what, args, more, said) => {
    writeFileSync(join(env.DATA_DIR, 'try-127.0.0.1_1.json'), '{');
    const { code, stderr } = await devpocket(args, { ...env, ...more });
    expect([code, stderr]).toEqual([2, expect.stringMatching(said)]);
    expect(stderr).not.toMatch(/ {4}at /);
  });
});

describe('without a sandbox', () => {
  it('the command line knows the rule of one account, beside a server and after it', async () => {
    const clock = new SystemClock();
    const api = new TestApi(() => [new FakeDriver({ clock, multiUser: false })]);
    await api.start();
    const embedded = { DATA_DIR: api.dataDir, DATABASE_NAME: api.database };
    const url = process.env.MONGODB_URL;
    const env = { ...embedded, ...(url ? { MONGODB_URL: url } : {}), DEVPOCKET_PASSWORD: PASSWORD };
    const create = (name: string): Promise<Finished> =>
      devpocket(['user', 'create', '--username', name, '--email', `${name}@example.com`], env);
    try {
      await api.user('only');
      expect(await create('second')).toMatchObject({ code: 4, stdout: '' });
      await api.running.stop('SIGTERM');
      expect(await create('third')).toMatchObject({ code: 4, stdout: '' });
    } finally {
      await api.close();
    }
  });
});
