import { spawn } from '@lydell/node-pty';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freshTerminal, screenState, write } from '../testing/screen-state';
import { encodeKey } from './key-encoder';
import { OutputModes } from './output-modes';
import { cleanPaste, PASTE_BEGIN, PASTE_END } from './paste';
import { TerminalScreen } from './terminal-screen';

const PATH = '/usr/local/bin:/usr/bin:/bin';
const NEEDED = process.env.DEVPOCKET_TEST_REQUIRE_SANDBOX === '1';
const PROGRAMS = ['vim', 'less', 'htop', 'tmux', 'bash'];
const missing = PROGRAMS.filter((name) => !PATH.split(':').some((folder) => existsSync(join(folder, name))));
const SIZE = { cols: 80, rows: 24 };
const NOTHING_HELD = { ctrl: false, alt: false, shift: false, meta: false, keypad: false };

/** A page with characters of one and two cells, of several code points, and coloured. */
const PAGE = [
  '漢字かな交じり文とEnglish、한국어도',
  '\x1b[7m逆\x1b[27m \x1b[1;38;2;200;100;0m太字\x1b[0m 😀😀 👍 ⌚ ✔ é e\u0301 ａｂｃ ｱｲｳ',
  `${'全角で行の終わりを越える'.repeat(5)}`,
  '\x1b[4:3m波線\x1b[0m \x1b[48;5;22m  \x1b[0m|',
].join('\r\n');

/** A program under a PTY, and all that it printed. */
class Running {
  output = Buffer.alloc(0);
  private readonly pty;
  private heard: () => void = () => undefined;
  readonly over: Promise<void>;

  constructor(command: string, args: readonly string[], cwd: string) {
    const env = { PATH, HOME: cwd, TERM: 'xterm-256color', LANG: 'C.UTF-8', PS1: '> ', TMUX_TMPDIR: cwd };
    this.pty = spawn(command, [...args], { ...SIZE, cwd, env, encoding: null });
    (this.pty.onData as unknown as (listener: (chunk: Buffer) => void) => void)((chunk) => {
      this.output = Buffer.concat([this.output, chunk]);
      this.heard();
    });
    this.over = new Promise((resolve) => this.pty.onExit(() => resolve()));
  }

  type(keys: string): void {
    this.pty.write(keys);
  }

  key(key: string): void {
    const modes = new OutputModes();
    modes.scan(this.output);
    this.type(encodeKey({ ...NOTHING_HELD, key }, modes.keyboard) ?? '');
  }

  paste(text: string): void {
    const modes = new OutputModes();
    modes.scan(this.output);
    this.type(modes.bracketedPaste ? PASTE_BEGIN + cleanPaste(text) + PASTE_END : cleanPaste(text));
  }

  /** Waits for the screen to be so. */
  async shows(what: RegExp): Promise<void> {
    for (;;) {
      const news = new Promise<void>((resolve) => (this.heard = resolve));
      const screen = new TerminalScreen(SIZE.cols, SIZE.rows);
      await screen.feed(this.output);
      const text = screen.text();
      screen.dispose();
      if (what.test(text)) return;
      await news;
    }
  }

  end(): void {
    this.pty.kill('SIGKILL');
  }
}

/** A client that attaches here by the screen alone has what one has that saw everything, and goes on like it. */
async function expectSame(output: Buffer, cut: number): Promise<void> {
  const screen = new TerminalScreen(SIZE.cols, SIZE.rows);
  await screen.feed(output.subarray(0, cut));
  const { data, uncovered } = screen.paint();
  const [saw, painted] = [freshTerminal(SIZE.cols, SIZE.rows), freshTerminal(SIZE.cols, SIZE.rows)];
  await write(saw, output.subarray(0, cut));
  await write(painted, data);
  expect(screenState(painted)).toEqual(screenState(saw));
  await write(saw, output.subarray(cut));
  await write(painted, output.subarray(cut - uncovered));
  expect(screenState(painted)).toEqual(screenState(saw));
  for (const terminal of [saw, painted]) terminal.dispose();
  screen.dispose();
}

const suite = missing.length > 0 && !NEEDED ? describe.skip : describe;

suite('programs', () => {
  let folder: string;
  let running: Running | null = null;
  beforeAll(() => {
    expect(missing).toEqual([]);
    folder = mkdtempSync(join(tmpdir(), 'devpocket-programs-'));
    writeFileSync(join(folder, 'code.py'), '# comment\ndef main():\n    print("漢字 😀", 1)\n'.repeat(40));
    writeFileSync(join(folder, 'page.txt'), PAGE);
    // Keys that come at once are a paste to it, and then no commands.
    writeFileSync(join(folder, 'tmux.conf'), 'set -g assume-paste-time 0\n');
  });
  afterEach(() => {
    running?.end();
    running = null;
  });
  afterAll(() => {
    spawnSync('tmux', ['kill-server'], { env: { PATH, TMUX_TMPDIR: folder } });
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  const run = (command: string, ...args: string[]): Running => (running = new Running(command, args, folder));

  it.each([
    [
      'vim',
      ['-u', 'NONE', '-c', 'syntax on | set number ruler mouse=a', 'code.py'],
      /print.*\n[^]*1,1/,
      ['\x06', 'ihello \x1b', ':split\r'],
      ':qa!\r',
    ],
    ['less', ['-R', 'code.py'], /comment/, ['f', '/main\r'], 'q'],
    ['htop', ['-d', '1'], /F10/, ['\x1b[B', '\x1bOS'], '\x1bq'],
    ['bash', ['--norc', '--noprofile', '-c', 'cat page.txt; printf "\\n$ "; read -r line'], /^\$$/m, ['漢字 😀'], '\r'],
    [
      'tmux',
      ['-f', 'tmux.conf', 'new-session', 'cat page.txt; exec bash --norc --noprofile'],
      /bash/,
      ['\x02"', 'echo split\r', '\x02%', 'ls\r'],
      '\x02d',
    ],
  ] as const)('%s: a client that attaches by the screen has every cell and mode', async (command, args, ready, keys, quit) => {
    const program = run(command, ...args);
    await program.shows(ready);
    const cuts = [program.output.length];
    for (const key of keys) {
      const before = program.output.length;
      program.type(key);
      while (program.output.length === before) await program.shows(/[^]/).then(() => new Promise(setImmediate));
      cuts.push(program.output.length);
    }
    program.type(quit);
    if (command === 'htop') program.type('q');
    await program.over;
    // Also in the middle of whatever is there.
    for (const cut of [...cuts, ...cuts.map((at) => Math.floor(at / 2)), ...cuts.map((at) => at - 3), program.output.length])
      await expectSame(program.output, Math.max(0, cut));
  });

  it('readline understands the keys that are pressed, and a paste that it runs only with Enter', async () => {
    const shell = run('bash', '--norc', '--noprofile');
    await shell.shows(/^>$/m);
    shell.paste('echo on\x1b[201~e\necho two');
    await shell.shows(/^> echo one\necho two$/m);
    shell.key('Enter');
    await shell.shows(/^two\n>$/m);
    shell.type('echo thre!');
    shell.key('Backspace');
    shell.key('ArrowLeft');
    shell.key('Delete');
    shell.key('End');
    shell.type('ee');
    shell.key('Home');
    shell.key('Enter');
    await shell.shows(/^three\n>$/m);
    shell.key('ArrowUp');
    shell.type(' again');
    shell.key('Enter');
    await shell.shows(/^three again\n>$/m);
  });

  it('vim, which asks for application cursor keys, understands them', async () => {
    const vim = run('vim', '-u', 'NONE', '-c', 'set nocompatible ruler showmode', 'code.py');
    await vim.shows(/1,1/);
    expect(vim.output.includes('\x1b[?1h')).toBe(true);
    vim.key('ArrowDown');
    await vim.shows(/2,1/);
    vim.key('End');
    await vim.shows(/2,11/);
    vim.key('Insert');
    await vim.shows(/-- INSERT --/);
    vim.key('ArrowLeft');
    vim.key('X');
    await vim.shows(/main\(X\):/);
    vim.key('Delete');
    await vim.shows(/main\(X:/);
    vim.key('Escape');
    await vim.shows(/^(?![^]*INSERT)/);
    vim.key('PageDown');
    await vim.shows(/\d\d,\d/);
  });

  it('programs read what xterm-256color in terminfo says', async () => {
    const keys = ['ArrowUp', 'F1', 'F5', 'F12', 'Delete', 'PageUp', 'Home', 'Backspace'];
    const shell = run('bash', '--norc', '--noprofile', '-c', 'stty -icanon -echo; printf "\\033[?1h\\033=ready\\n"; cat -v');
    await shell.shows(/ready/);
    for (const key of keys) shell.key(key);
    await shell.shows(/\^\[OA\^\[OP\^\[\[15~\^\[\[24~\^\[\[3~\^\[\[5~\^\[OH\^\?/);
  });
});
