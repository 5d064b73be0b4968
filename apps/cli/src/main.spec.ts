import { type Envelope } from './output';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const CLI = resolve('dist/apps/cli/src/main.js');

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('the command line as a process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-main-'));
  const { PATH = '' } = process.env;
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
    new Promise((ended) => {
      const options = { cwd: folder, env: { PATH, DATA_DIR: join(folder, 'data'), ...env } };
      execFile(process.execPath, [CLI, ...args], options, (error, out, err) =>
        ended({ code: Number(error?.code ?? 0), out, err }),
      );
    });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('ends with the code of the reason, and tells a person in a sentence', async () => {
    writeFileSync(join(folder, 'bad.env'), 'PORT=many\n');
    const [extra, option, help, settings] = await Promise.all([
      run(['try', 'extra']),
      run(['user', 'list', '--frob']),
      run(['db', '--help']),
      run(['user', 'list'], { ENV_FILE: 'bad.env' }),
    ]);
    expect(extra).toMatchObject({ code: 2, out: '', err: expect.stringContaining('too many arguments') as string });
    expect(option).toMatchObject({ code: 2, err: expect.stringContaining("unknown option '--frob'") as string });
    expect(help).toMatchObject({ code: 0, out: expect.stringContaining('restore [options] <file>') as string });
    expect(settings).toMatchObject({ code: 2, err: expect.stringContaining('PORT must be a whole number') as string });
    for (const { err } of [extra, option, settings]) expect(err).not.toMatch(/\n\s+at /);
  });

  it('tells a program in one line of one shape, whatever comes of it', async () => {
    const runs = await Promise.all([
      run(['db', 'restore', '--json']),
      run(['user', 'list', '--json'], { ENV_FILE: 'no.env' }),
      run(['try', '--json', '--url', 'http://127.0.0.1:1']),
      run(['openapi', 'export', '--json']),
    ]);
    const told = runs.map(({ code, out, err }) => {
      expect(out.trimEnd().split('\n')).toHaveLength(1);
      const envelope = JSON.parse(out) as Envelope;
      if (!envelope.ok) expect([envelope.error.exit_code, err]).toEqual([code, '']);
      return [code, envelope.ok ? 'ok' : envelope.error.code];
    });
    expect(told).toEqual([
      [2, 'bad_input'],
      [2, 'bad_configuration'],
      [5, 'unavailable'],
      [0, 'ok'],
    ]);
  });
});
