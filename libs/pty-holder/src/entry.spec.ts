import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { holderCommand, programFor, recordsOf } from './entry';

describe('how the holder comes into a container', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'entry-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const program = programFor('x86_64') ?? Buffer.alloc(0);
  const FULL = ['--size', '4096', '--tmpfs'];
  /** @param tmp how bubblewrap makes /tmp; /var/tmp is `folder` */
  function run(tmp: readonly string[], varTmp: readonly string[], sent: Buffer, command = holderCommand(['check'])): unknown {
    const world = ['--dev-bind', '/', '/', ...tmp, '/tmp', ...varTmp, '/var/tmp'];
    const { status, stdout, stderr } = spawnSync('bwrap', [...world, ...command], { input: sent, encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  it('asks for it once, and keeps it where there is room', () => {
    const bind = ['--bind', folder];
    expect(run(FULL, bind, program)).toEqual({ status: 0, stdout: 'Nx86_64\n', stderr: '' });
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.pty-holder-\w{16}$/)]);
    expect(run(FULL, bind, Buffer.alloc(0))).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(run(bind, FULL, Buffer.alloc(0))).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('says so when there is room nowhere, or not what it needs', () => {
    const nowhere = {
      status: 74,
      stdout: 'Nx86_64\n',
      stderr: expect.stringMatching(/^No folder takes a program: [^\n]+\n$/) as unknown,
    };
    expect(run(FULL, FULL, program)).toEqual(nowhere);
    expect(run(['--ro-bind', folder], ['--ro-bind', folder], program)).toEqual(nowhere);
    expect(run(['--bind', folder], FULL, program, ['/usr/bin/env', 'PATH=/none', ...holderCommand(['check'])])).toMatchObject({
      status: 74,
      stdout: 'N\n',
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves nothing of one that came in part, wherever it was cut', () => {
    for (const part of [0.1, 0.5, 0.9, 1 - 1 / program.length])
      expect(run(['--bind', folder], FULL, program.subarray(0, program.length * part))).toMatchObject({ status: 74 });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('lists what a holder says, and nothing else', () => {
    const listing =
      'one 1 80 24 9 1 0 5 2\ntwo 1 80 24 9 0 0 0 0\nthree 1e400 80 24 9 0 0 0 0\nfour 1 80 24 -9 0 0 0 0\nfive 1 80\n\n';
    expect(recordsOf(listing).map(({ sessionId, exit }) => [sessionId, exit?.code])).toEqual([
      ['one', 5],
      ['two', undefined],
    ]);
  });
});
