import { type EnvironmentSpec, type LogEvent, type Place, RuntimeError, type TerminalChannel } from '@devpocket/runtime';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { detectCapabilities } from './capabilities';
import { Layout, readState, writeState } from './layout';
import { LocalDriver } from './local.driver';

const sandboxed = detectCapabilities().bwrap !== null;
const NEEDED = process.env.DEVPOCKET_TEST_REQUIRE_SANDBOX === '1';
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const ONE = '0123456789abcdef00000001';
const TWO = '0123456789abcdef00000002';
let sessions = 0;

const placeOf = (environmentId: string): Place => ({ environmentId, userId: 'u', clusterId: null });

function specOf(environmentId: string, incarnation: number, more: Partial<EnvironmentSpec> = {}): EnvironmentSpec {
  const resources = { cpuMillis: 1000, memoryBytes: 256 * 2 ** 20, storageBytes: 64 * 2 ** 20 };
  return {
    ...placeOf(environmentId),
    install: 'this',
    incarnation,
    name: 'test',
    image: '',
    defaultPort: null,
    resources,
    quota: { active: 1, kept: 1, each: resources },
    readOnlyRoot: false,
    environmentVariables: {},
    startupCommands: [],
    soleUser: false,
    ...more,
  };
}

async function until<T>(look: () => Promise<T | null> | T | null, ms = 15_000): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > end) throw new Error(`not within ${ms} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

class Shell {
  output = '';

  constructor(
    readonly channel: TerminalChannel,
    allowed = Infinity,
  ) {
    channel.attach((chunk) => (this.output += chunk.toString('utf8')));
    channel.allow(allowed);
  }

  /** Runs a command and returns what it printed. */
  async run(command: string): Promise<string> {
    const mark = `M${Math.random().toString(36).slice(2)}`;
    const from = this.output.length;
    await this.channel.write(Buffer.from(`${command}\necho ${mark.slice(0, 3)}''${mark.slice(3)}:$?\n`));
    const end = await until(() => {
      const found = new RegExp(`${mark}:(\\d+)`).exec(this.output.slice(from));
      return found ? from + found.index : null;
    });
    return this.output.slice(from, end).replaceAll('\r\n', '\n');
  }
}

/** Of the host that was started last. */
function hostPid(dataDir: string): number {
  return Number([...readFileSync(join(dataDir, 'run/pty-host.log'), 'utf8').matchAll(/process (\d+)/g)].at(-1)?.[1]);
}

describe('the local runtime', () => {
  let dataDir: string;
  let driver: LocalDriver;

  const make = (graceSeconds = 30, network: 'none' | null = 'none'): LocalDriver =>
    new LocalDriver({
      chosen: 'for a test',
      dataDir,
      network,
      allowUnsandboxedUsers: true,
      terminalBufferBytes: 1_048_576,
      hostGraceSeconds: graceSeconds,
      hostProgram: null,
      log,
    });

  async function start(spec: EnvironmentSpec): Promise<void> {
    await driver.start(spec);
    await until(async () => {
      const sighting = await driver.look(spec);
      if (sighting.seen === 'stopped') throw new Error(`it ended: ${String(sighting.message)}`);
      return sighting.seen === 'running' ? sighting : null;
    });
  }

  async function shell(environmentId = ONE, allowed = Infinity): Promise<Shell> {
    sessions += 1;
    const opened = new Shell(
      await driver.openTerminal(placeOf(environmentId), { sessionId: `s${sessions}`, cols: 80, rows: 24 }),
      allowed,
    );
    await opened.run("stty -echo; PS1=''; PS2=''; bind 'set enable-bracketed-paste off' 2>/dev/null");
    return opened;
  }

  const stopped = (environmentId: string): Promise<unknown> =>
    until(async () => ((await driver.look(placeOf(environmentId))).seen === 'stopped' ? true : null));

  async function logs(environmentId: string): Promise<LogEvent[]> {
    const events: LogEvent[] = [];
    for await (const event of driver.logs(
      placeOf(environmentId),
      { lines: 1000, since: null, after: null, follow: false },
      new AbortController().signal,
    ))
      events.push(event);
    return events;
  }

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'devpocket-local-'));
    driver = make();
    await driver.open();
  });
  afterEach(async () => {
    await driver.close({ keepTerminals: false });
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('has its sandbox where the tests are told that there is one', () => {
    if (NEEDED) expect(sandboxed).toBe(true);
    else expect(typeof sandboxed).toBe('boolean');
  });

  it('starts, stops, starts again and is removed, and keeps the workspace until then', async () => {
    expect(await driver.look(placeOf(ONE))).toEqual({ seen: 'absent' });
    await start(specOf(ONE, 1));
    await driver.start(specOf(ONE, 1));
    const first = await shell();
    await first.run('echo kept > file');
    await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 1_000, kill: false });
    expect(await first.channel.ended).toMatchObject({ reason: 'environment_stopped' });
    await stopped(ONE);
    await start(specOf(ONE, 2));
    await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 0, kill: true });
    expect(await driver.look(placeOf(ONE))).toMatchObject({ seen: 'running', incarnation: 2 });
    expect(await (await shell()).run('cat file')).toContain('kept');
    expect((await driver.list()).map(({ environmentId }) => environmentId)).toEqual([ONE]);
    await driver.destroy(placeOf(ONE));
    await driver.destroy(placeOf(ONE));
    expect(await driver.look(placeOf(ONE))).toEqual({ seen: 'absent' });
    expect(existsSync(join(dataDir, 'environments', ONE))).toBe(false);
  });

  it('runs startup commands once, and tells which failed', async () => {
    await start(specOf(ONE, 1, { startupCommands: ['echo first', 'exit 3', 'echo never'] }));
    expect(await driver.look(placeOf(ONE))).toMatchObject({
      seen: 'running',
      startupFailed: expect.stringContaining('exit 3') as string,
    });
    await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 0, kill: true });
    await stopped(ONE);
    await start(specOf(ONE, 2, { startupCommands: ['echo first'] }));
    const lines = (await logs(ONE)).flatMap((event) =>
      event.type === 'log' && event.source === 'startup' ? [event.message] : [],
    );
    expect(lines).toEqual(['first']);
  });

  it('gives a terminal its size, its variables and its exit code', async () => {
    // Some mean something to the shells on the way to a terminal.
    const ours = { GREETING: 'it\'s $HOME "quoted"', PATH_EXTRA: 'ä€😀', shell: 'zsh', IFS: '/' };
    await start(specOf(ONE, 1, { environmentVariables: ours }));
    const one = await shell();
    expect(await one.run('stty size')).toContain('24 80');
    await one.channel.resize({ cols: 132, rows: 50 });
    expect(await one.run('stty size')).toContain('50 132');
    expect(await one.run('echo "$GREETING|$PATH_EXTRA|$shell"')).toContain(`it's $HOME "quoted"|ä€😀|zsh`);
    expect(await one.run('sleep 100 & jobs')).toMatch(/Running\s+sleep 100/);
    await one.channel.write(Buffer.from('exit 7\n'));
    expect(await one.channel.ended).toEqual({ code: 7, signal: null, reason: 'exited' });
    await expect(one.channel.write(Buffer.from('x'))).rejects.toBeInstanceOf(RuntimeError);
  });

  it('takes 1 MiB of input whole and in order, and numbered input once', async () => {
    await start(specOf(ONE, 1));
    const one = await shell();
    const text = Array.from({ length: 16_384 }, (_, index) => `${String(index).padStart(63, '.')}\n`).join('');
    await one.channel.write(Buffer.from('head -c 1048576 | sha256sum\n'));
    await one.channel.write(Buffer.from(text));
    const { createHash } = await import('node:crypto');
    const sum = createHash('sha256').update(text).digest('hex');
    await until(() => (one.output.includes(sum) ? true : null));
    const line = Buffer.from('echo once >> count\n');
    for (let again = 0; again < 3; again += 1) await one.channel.write(line, { clientId: 'c', seq: line.length });
    expect(await one.run('cat count')).toBe('once\n');
  });

  it('hands its shells over to the next server, byte for byte', async () => {
    await start(specOf(ONE, 1));
    const before = await shell();
    const mark = Buffer.from('echo marked\n');
    await before.channel.write(mark, { clientId: 'phone', seq: mark.length });
    await before.run('for i in $(seq 1000); do echo line $i; done');
    const { sessionId } = before.channel;
    await driver.close({ keepTerminals: true });
    driver = make();
    await driver.open();
    expect(await driver.look(placeOf(ONE))).toMatchObject({ seen: 'running', incarnation: 1 });
    const [record] = await driver.terminals(placeOf(ONE));
    expect(record).toMatchObject({ sessionId, exit: null, position: Buffer.byteLength(before.output) });
    const after = new Shell(await driver.adoptTerminal(placeOf(ONE), sessionId));
    expect(after.channel.inputMarks.get('phone')).toBe(mark.length);
    await until(() => (after.output.length >= before.output.length ? true : null));
    expect(after.output).toBe(before.output);
    expect(await after.run('echo alive')).toContain('alive');
  });

  it('is not taken over by a second server on its folder', async () => {
    await start(specOf(ONE, 1));
    const one = await shell();
    const second = make();
    await expect(second.open()).rejects.toThrow(/Another server/);
    await second.close({ keepTerminals: true });
    expect(await one.run('echo still mine')).toContain('still mine');
  });

  it('ends every shell when no server comes back in time', async () => {
    await driver.close({ keepTerminals: false });
    driver = make(0);
    await driver.open();
    await start(specOf(ONE, 1));
    await shell();
    await driver.close({ keepTerminals: true });
    await until(() => (existsSync(join(dataDir, 'run/pty-host.sock')) ? null : true));
    driver = make();
    await driver.open();
    expect((await driver.look(placeOf(ONE))).seen).toBe('stopped');
  });

  it('refuses a folder for its socket that somebody else can enter', () => {
    const long = join(dataDir, 'x'.repeat(100));
    const first = new Layout(long).hostSocket();
    expect(Buffer.byteLength(first)).toBeLessThan(104);
    chmodSync(dirname(first), 0o755);
    expect(() => new Layout(long).hostSocket()).toThrow(/not this user's own folder/);
    rmSync(dirname(first), { recursive: true });
    symlinkSync(dataDir, dirname(first));
    expect(() => new Layout(long).hostSocket()).toThrow(/not this user's own folder/);
    rmSync(dirname(first));
  });

  it('tells honestly when the process that held the shells was killed', async () => {
    await start(specOf(ONE, 1));
    const one = await shell();
    const host = hostPid(dataDir);
    process.kill(host, 'SIGKILL');
    expect(await one.channel.ended).toMatchObject({ reason: 'killed' });
    await until(async () => {
      const sighting = await driver.look(placeOf(ONE)).catch(() => null);
      return sighting?.seen === 'stopped' && sighting.reason === 'runtime_state_lost' ? true : null;
    });
  });

  it('ends no shell because its log and its state cannot be written, as on a full disk', async () => {
    await start(specOf(ONE, 1));
    await start(specOf(TWO, 1));
    const one = await shell(ONE);
    const folder = join(dataDir, 'environments', TWO);
    rmSync(join(folder, 'log'));
    for (const name of ['log', 'state.json.new']) mkdirSync(join(folder, name));
    await driver.stop(placeOf(TWO), { incarnation: 1, graceMs: 0, kill: true });
    await stopped(TWO);
    expect(await one.run('echo still here')).toContain('still here');
    await expect(driver.start(specOf(TWO, 2))).rejects.toThrow();
    expect((await driver.look(placeOf(TWO))).seen).toBe('stopped');
  });

  it('answers while a startup command never stops writing', async () => {
    await start(specOf(ONE, 1));
    const one = await shell();
    await driver.start(specOf(TWO, 1, { startupCommands: ['yes'] }));
    await until(async () => ((await logs(TWO)).length === 1000 ? true : null));
    let longest = 0;
    for (let turn = 0; turn < 20; turn += 1) {
      const asked = performance.now();
      await one.run('true');
      longest = Math.max(longest, performance.now() - asked);
    }
    expect(longest).toBeLessThan(200);
    await driver.stop(placeOf(TWO), { incarnation: 1, graceMs: 0, kill: true });
    await stopped(TWO);
  });

  it('slows a shell whose output nobody takes, and loses nothing', async () => {
    await start(specOf(ONE, 1));
    const one = await shell(ONE, 100_000);
    await one.channel.write(Buffer.from('echo BE""GIN; seq 300000; echo DO""NE\n'));
    await until(() => (one.output.length >= 100_000 ? true : null));
    expect(await one.channel.foregroundBusy()).toBe(true);
    expect(one.output.length).toBeLessThan(170_000);
    one.channel.allow(Infinity);
    await until(() => (one.output.includes('DONE') ? true : null));
    const printed = one.output.replaceAll('\r\n', '\n');
    expect(printed.slice(printed.indexOf('BEGIN\n') + 6, printed.indexOf('DONE'))).toBe(
      Array.from({ length: 300_000 }, (_, index) => `${index + 1}\n`).join(''),
    );
  });

  it('follows logs over a restart, without loss or repetition', async () => {
    await start(specOf(ONE, 1, { startupCommands: ['echo a', "printf begin; head -c 300000 /dev/zero | tr '\\0' x; echo"] }));
    const seen: LogEvent[] = [];
    const ended = new AbortController();
    const following = (async () => {
      for await (const event of driver.logs(placeOf(ONE), { lines: 100, since: null, after: null, follow: true }, ended.signal))
        seen.push(event);
    })();
    await until(() => (seen.some(({ type }) => type === 'caught_up') ? true : null));
    await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 0, kill: true });
    await stopped(ONE);
    await start(specOf(ONE, 2));
    await until(() =>
      seen.some(({ type }) => type === 'restarted') &&
      seen.filter((event) => event.type === 'log' && event.message === 'Running').length === 2
        ? true
        : null,
    );
    ended.abort();
    await following;
    const cursors = seen.flatMap((event) => (event.type === 'log' ? [event.cursor] : []));
    expect(new Set(cursors).size).toBe(cursors.length);
    const long = seen.find((event) => event.type === 'log' && event.truncated);
    expect(long?.type === 'log' && long.message).toBe(`begin${'x'.repeat(16_379)}`);
    await expect(logs(TWO)).resolves.toEqual([]);
  });

  const asRoot = sandboxed && process.getuid?.() === 0 ? it : it.skip;
  asRoot('is nobody of this machine, also in an environment that began without a sandbox', async () => {
    await start(specOf(ONE, 1));
    await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 0, kill: true });
    await stopped(ONE);
    await driver.close({ keepTerminals: false });
    const layout = new Layout(dataDir);
    const state = readState(layout, ONE);
    if (!state) throw new Error('no state');
    writeState(layout, ONE, { ...state, uid: null });
    writeFileSync(join(layout.workspace(ONE), 'roots'), 'before');
    symlinkSync('/etc/hostname', join(layout.workspace(ONE), 'link'));
    chownSync(layout.workspace(ONE), 0, 0);
    driver = make();
    await driver.open();
    await start(specOf(ONE, 2));
    const own = await shell();
    expect(await own.run('id -u')).not.toBe('0\n');
    expect(await own.run('echo after > roots && cat roots')).toBe('after\n');
    expect(statSync('/etc/hostname').uid).toBe(0);
  });

  const inSandbox = sandboxed ? describe : describe.skip;
  inSandbox('has a program in each sandbox that starts its shells, which', () => {
    beforeEach(() => start(specOf(ONE, 1)));

    /** A shell that was started so, and not by joining the sandbox. */
    const fast = (id = ONE): Promise<Shell> =>
      until(async () => {
        const opened = await shell(id);
        return (await opened.run('tr "\\0" " " < /proc/$PPID/cmdline')).includes('/run/devpocket/terminals') ? opened : null;
      });

    it.each([
      ['exit 0', { code: 0, signal: null, reason: 'exited' }],
      ['exit 7', { code: 7, signal: null, reason: 'exited' }],
      ['exit 137', { code: 137, signal: null, reason: 'exited' }],
      ['exit 130', { code: 130, signal: null, reason: 'exited' }],
      ['kill -KILL $$', { code: null, signal: 'SIGKILL', reason: 'killed' }],
      ['kill -SEGV $$', { code: null, signal: 'SIGSEGV', reason: 'killed' }],
      ['kill -HUP $$', { code: null, signal: 'SIGHUP', reason: 'killed' }],
    ] as const)('tells how one ended: %s', async (command, exit) => {
      const one = await fast();
      await one.channel.write(Buffer.from(`${command}\n`));
      expect(await one.channel.ended).toEqual(exit);
    });

    it('leaves it what a joined one has: its session, its signals, its size, and no descriptor of another', async () => {
      const one = await fast();
      expect(await one.run('readlink /proc/$$/fd/* | grep -v -e ^/dev/null -e ^/dev/pts/ | wc -l')).toBe('0\n');
      expect(await one.run('stty size; pwd; echo $TERM; grep -E "SigIgn|NoNewPrivs|CapEff" /proc/self/status; ulimit -n')).toBe(
        '24 80\n/workspace\nxterm-256color\nSigIgn:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n4096\n',
      );
      await one.channel.resize({ cols: 100, rows: 30 });
      expect(await one.run('stty size')).toBe('30 100\n');
      expect(await one.channel.foregroundBusy()).toBe(false);
      const from = one.output.length;
      await one.channel.write(Buffer.from('sleep 600 &\nsleep 600; echo went on\n'));
      await until(async () => ((await one.channel.foregroundBusy()) === true ? true : null));
      // What has been forked and is not its program yet may let one pass.
      await until(async () => {
        await one.channel.write(Buffer.from('\u0003'));
        return (await one.channel.foregroundBusy()) === false ? true : null;
      });
      expect(await one.run('while kill -INT %1 2>&-; do sleep 0.1; done')).toMatch(/Interrupt +sleep 600/);
      expect(one.output.slice(from)).not.toContain('went on\r\n');
    });

    it('is not needed: one that was killed is followed by another, and what it started goes on', async () => {
      const one = await fast();
      await one.run('kill -STOP $PPID');
      // They are asked for, and it does not begin; what was typed meanwhile is theirs.
      const joined = await Promise.all([shell(), shell()]);
      for (const each of joined) {
        expect(await each.run('stty size; tr "\\0" " " < /proc/$PPID/cmdline')).not.toContain('/run/devpocket/terminals');
        expect(await each.channel.foregroundBusy()).toBe(false);
        await each.channel.write(Buffer.from('exit 4\n'));
        expect(await each.channel.ended).toMatchObject({ code: 4 });
      }
      expect(await (await fast()).run('echo another')).toBe('another\n');
      expect(await one.run('echo on')).toBe('on\n');
      await one.channel.write(Buffer.from('exit 3\n'));
      expect(await one.channel.ended).toMatchObject({ code: 3 });
    });

    it('can end each of them, and says what is in the foreground of each, the last that it had terminals for too', async () => {
      const all = await Promise.all(Array.from({ length: 24 }, () => shell()));
      for (const { channel } of all) expect(await channel.foregroundBusy()).toBe(false);
      for (const { channel } of all) await channel.kill();
      for (const { channel } of all) expect(await channel.ended).toMatchObject({ reason: 'killed' });
    });

    it('lets go with a crowd what it had for one', async () => {
      const descriptors = (): number => readdirSync(`/proc/${hostPid(dataDir)}/fd`).length;
      const first = await fast();
      const before = descriptors();
      for (let round = 0; round < 2; round += 1) {
        const all = await Promise.all(Array.from({ length: 40 }, () => shell()));
        for (const { channel } of all) await channel.kill();
        for (const { channel } of all) await channel.ended;
      }
      await first.channel.kill();
      await first.channel.ended;
      await until(() => (descriptors() <= before ? true : null));
      expect(await (await fast()).run('echo on')).toBe('on\n');
    }, 60_000);

    it('minds SIGTERM no more than its shells do', async () => {
      const one = await fast();
      expect(await one.run('kill -TERM $PPID $$; echo on')).toBe('on\n');
      await one.channel.write(Buffer.from('exit 5\n'));
      expect(await one.channel.ended).toMatchObject({ code: 5 });
    });

    it('gives it its user’s variables, and none of its own', async () => {
      const one = await fast();
      expect(await one.run('env | grep -v ^_= | cut -d= -f1 | sort | tr "\\n" " "; echo $SHLVL')).toBe(
        'COLORTERM HOME LANG LOGNAME PATH PS1 PWD SHELL SHLVL TERM TMPDIR USER 1\n',
      );
    });

    it('leaves them when it is killed; that they end is known, how is not', async () => {
      const all = await Promise.all([fast(), fast(), fast()]);
      await all[0].channel.write(Buffer.from('kill -KILL $PPID\n'));
      for (const one of all) {
        expect(await one.run('ps -o comm= -p $PPID')).not.toBe('perl\n');
        expect(await one.channel.foregroundBusy()).toBe(false);
        await one.channel.write(Buffer.from('exit 3\n'));
        expect(await one.channel.ended).toEqual({ code: null, signal: 'SIGKILL', reason: 'killed' });
      }
      expect(await (await fast()).run('echo another')).toBe('another\n');
    });

    it('gives them variables of any text', async () => {
      const values = [`it's 'quoted'`, 'two\nexport LINES=3\n', `'\\''`, '', 'tab\tü €', "'".repeat(3_000)];
      const environmentVariables = Object.fromEntries(values.map((value, at) => [`V${at}`, value]));
      await start({ ...specOf(TWO, 1), environmentVariables });
      const told = await (await fast(TWO)).run('for at in 0 1 2 3 4 5; do printenv V$at | base64 -w 0; echo; done');
      expect(
        told
          .trim()
          .split('\n')
          .map((text) => Buffer.from(text, 'base64').toString()),
      ).toEqual(values.map((value) => `${value}\n`));
    });

    it('opens as many at once as are asked for, each its own', async () => {
      const all = await Promise.all(Array.from({ length: 40 }, () => shell()));
      const ids = await Promise.all(all.map((one) => one.run('tty; echo $$')));
      expect(new Set(ids).size).toBe(40);
    }, 60_000);
  });

  inSandbox('keeps an environment from', () => {
    let secret: string;
    let listener: Server;
    let port: number;

    beforeEach(async () => {
      secret = `secret-${Math.random()}`;
      writeFileSync(join(dataDir, 'secret-key'), secret);
      mkdirSync(join(dataDir, 'database'), { mode: 0o700 });
      listener = createServer((socket) => socket.end('reached'));
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
      const address = listener.address();
      port = typeof address === 'object' && address ? address.port : 0;
      await start(specOf(ONE, 1));
    });
    afterEach(() => {
      listener.close();
    });

    it("the server's files and another environment's", async () => {
      await start(specOf(TWO, 1));
      const other = await shell(TWO);
      await other.run(`echo ${secret} > mine`);
      const one = await shell();
      const tries = [
        `cat ${dataDir}/secret-key`,
        `ls ${dataDir}`,
        `cat ${dataDir}/environments/${TWO}/workspace/mine`,
        `cat /workspace/../..${dataDir}/secret-key`,
        `ln -s ${dataDir} link; cat link/secret-key`,
        `cat /proc/1/root${dataDir}/secret-key`,
        `cat /proc/self/root/..${dataDir}/secret-key`,
        `find / -maxdepth 3 -name secret-key -exec cat {} + 2>/dev/null`,
        `grep -r ${secret.slice(0, -4)} /etc /run /tmp /var 2>/dev/null | head`,
        'cat /etc/shadow',
        `cat ${process.cwd()}/package.json`,
      ];
      for (const command of tries) {
        const said = await one.run(command);
        expect([command, said.includes(secret) || said.includes('devpocket-server') || said.includes('root:*')]).toEqual([
          command,
          false,
        ]);
      }
    });

    it("the server's files where they lie in a folder of the system", async () => {
      await driver.close({ keepTerminals: false });
      const [before, here] = [dataDir, process.cwd()];
      let system: string;
      try {
        system = mkdtempSync('/opt/devpocket-');
      } catch {
        return; // not this user's to write
      }
      try {
        dataDir = join(system, 'data');
        mkdirSync(dataDir);
        for (const file of [join(system, '.env'), join(dataDir, 'secret-key')]) writeFileSync(file, secret);
        for (const file of [system, dataDir]) chmodSync(file, 0o755);
        process.chdir(system);
        driver = make();
        await driver.open();
        await start(specOf(ONE, 2));
        const one = await shell();
        expect(await one.run('ls -d /opt; pwd')).toBe('/opt\n/workspace\n');
        expect(await one.run(`cat ${system}/.env ${dataDir}/secret-key; ls -A ${system} ${dataDir}`)).not.toMatch(
          /secret-\d|^\.env|^data$|^environments$/m,
        );
        await driver.close({ keepTerminals: false });
      } finally {
        process.chdir(here);
        dataDir = before;
        rmSync(system, { recursive: true });
      }
      driver = make();
      await driver.open();
    });

    it("another environment's terminals, and every descriptor but its own terminal's", async () => {
      const victim = await shell(ONE);
      await start(specOf(TWO, 1, { startupCommands: ['readlink /proc/self/fd/*'] }));
      const two = await shell(TWO);
      await two.run('for fd in $(seq 3 300); do eval "echo echo typed by two >&$fd"; done 2>/dev/null');
      await victim.run('true');
      expect(victim.output).not.toContain('typed by two');
      const given = (await two.run('for fd in /proc/$$/fd/*; do readlink $fd; done')).split('\n').filter(Boolean);
      const startup = (await logs(TWO)).flatMap((event) =>
        event.type === 'log' && event.source === 'startup' ? [event.message] : [],
      );
      for (const open of [...given, ...startup])
        expect(open).toMatch(/^(\/dev\/null|\/dev\/pts\/\d+|\/proc\/\d+\/fd|socket:\[\d+\]|\/run\/devpocket\/profile)$/);
      expect(given.filter((open) => open.startsWith('socket:'))).toEqual([]);
    });

    it('exceeding the limits of single processes in a terminal', async () => {
      const one = await shell();
      expect(await one.run('ulimit -c; ulimit -n; ulimit -f')).toBe(`0\n4096\n${(64 * 2 ** 20) / 1024}\n`);
      expect(await one.run('truncate -s 65M sparse 2>/dev/null || echo refused')).toContain('refused');
    });

    it("the server's process: its variables, its memory, signals", async () => {
      const one = await shell();
      expect(await one.run(`cat /proc/${process.pid}/environ; kill -9 ${process.pid}; kill -0 ${process.ppid}`)).not.toContain(
        'PATH=',
      );
      expect(await one.run('ps ax | wc -l; ls -d /proc/[0-9]* | wc -l')).toMatch(/^\d{1,2}\n/);
      expect(await one.run(`kill -9 1 ${process.pid} ${process.ppid} 2>/dev/null; echo still here`)).toContain('still here');
    });

    it('loopback and the sockets of this machine', async () => {
      const socket = join(dataDir, 'database', 'mongo.sock');
      const unix = createServer((client) => client.end('reached'));
      const abstract = createServer((client) => client.end('reached'));
      await new Promise<void>((resolve) => unix.listen(socket, resolve));
      await new Promise<void>((resolve) => abstract.listen(`\0devpocket-test-${process.pid}`, resolve));
      try {
        const one = await shell();
        const reach = (address: string): string =>
          `perl -MSocket -e 'socket(S, ${address}) or die; connect(S, $a) or die "no: $!"; print <S>' 2>&1`;
        const tcp = reach('PF_INET, SOCK_STREAM, 0').replace(
          'connect',
          `$a = sockaddr_in(${port}, inet_aton("127.0.0.1")); connect`,
        );
        const file = reach('PF_UNIX, SOCK_STREAM, 0').replace('connect', `$a = sockaddr_un("${socket}"); connect`);
        const hidden = reach('PF_UNIX, SOCK_STREAM, 0').replace(
          'connect',
          `$a = sockaddr_un("\\0devpocket-test-${process.pid}"); connect`,
        );
        for (const command of [tcp, file, hidden]) expect(await one.run(command)).toContain('no: ');
      } finally {
        unix.close();
        abstract.close();
      }
    });

    it("this machine's own addresses, though it reaches the world", async () => {
      const own = Object.values(networkInterfaces()).flatMap((addresses = []) =>
        addresses.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address),
      );
      const { pasta, slirp4netns, ip, isRoot } = detectCapabilities();
      if (own.length === 0 || ip === null || !(slirp4netns ?? (isRoot ? null : pasta))) return expect(NEEDED).toBe(false);
      const open = createServer((socket) => socket.end('reached'));
      await new Promise<void>((resolve) => open.listen(0, '0.0.0.0', resolve));
      try {
        const address = open.address();
        const openPort = typeof address === 'object' && address ? address.port : 0;
        await driver.close({ keepTerminals: false });
        driver = make(30, null);
        await driver.open();
        await start(specOf(ONE, 2, { startupCommands: ['cat /proc/self/status'] }));
        const one = await shell();
        await until(async () => ((await one.run('ip -o link')).match(/^\d+:/gm)?.length === 2 ? true : null));
        for (const host of [...own, '169.254.169.254']) {
          const said = await one.run(`timeout 5 bash -c 'cat < /dev/tcp/${host}/${openPort}'`);
          expect(said).toMatch(/No route to host|Connection refused/);
          expect(said).not.toContain('reached');
        }
        expect(await one.run('ip route flush table all; ip route')).toMatch(/^default/m);
        expect(await one.run('grep ^Cap /proc/2/status')).toMatch(/CapInh:\s+0+\s+CapPrm:\s+0+\s+CapEff:\s+0+\s/);
      } finally {
        open.close();
      }
    });

    it('privileges', async () => {
      const one = await shell();
      expect(await one.run('id -u')).not.toMatch(/^0\n/);
      const status = await one.run('cat /proc/self/status');
      expect(status).toMatch(/NoNewPrivs:\s+1/);
      expect(status).toMatch(/CapEff:\s+0000000000000000/);
      expect(status).toMatch(/CapPrm:\s+0000000000000000/);
      for (const command of [
        'su -c id </dev/null',
        'mount -t tmpfs tmpfs /tmp',
        'chroot / id',
        'touch /usr/x',
        'touch /etc/x',
        'mknod /tmp/sda b 8 0',
        'echo 1 > /proc/sys/kernel/panic',
        'nsenter -t 1 -m true',
        'hostname evil',
      ]) {
        expect([command, await one.run(`${command} >/dev/null 2>&1 && echo GOT''IN`)]).toEqual([
          command,
          expect.not.stringContaining('GOTIN') as string,
        ]);
      }
    });

    it('starving this machine of processes', async () => {
      const one = await shell();
      await one.channel.write(Buffer.from('bomb() { bomb | bomb & }; bomb 2>/dev/null\n'));
      const lag = { longest: 0 };
      for (let turn = 0; turn < 20; turn += 1) {
        const asked = performance.now();
        await driver.look(placeOf(ONE));
        lag.longest = Math.max(lag.longest, performance.now() - asked);
      }
      expect(lag.longest).toBeLessThan(200);
      await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 0, kill: true });
      await stopped(ONE);
    });

    it('more memory than its limit', async () => {
      const one = await shell();
      const said = await one.run(`perl -e '$x = "x" x (600 * 1024 * 1024); print "allocated\\n"'; echo status $?`);
      expect(said).not.toContain('allocated');
      expect((await driver.look(placeOf(ONE))).seen).toBe('running');
    });

    it('filling the memory through folders that lie in it', async () => {
      const one = await shell();
      for (const folder of ['/tmp', '/dev/shm', '/var/tmp'])
        expect(await one.run(`df -k --output=size ${folder} | tail -1; touch ${folder}/x && echo written`)).toMatch(
          /^\s*131072\nwritten\n/,
        );
      for (const folder of ['/', '/dev', '/run', '/var', '/etc', '/mnt'])
        expect(await one.run(`touch ${folder}/x 2>/dev/null || echo refused`)).toBe('refused\n');
    });

    it('losing its shell to a PATH of its own', async () => {
      await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 0, kill: true });
      await stopped(ONE);
      await start(specOf(ONE, 2, { environmentVariables: { PATH: '/nowhere' } }));
      const one = await shell();
      expect(await one.run('echo $PATH; /bin/ps -C sleep -o args=')).toContain('/nowhere\n/bin/sleep 2147483\n');
    });

    it('leaving its network behind when the host of its shells is killed', async () => {
      await driver.close({ keepTerminals: false });
      driver = make(30, null);
      await driver.open();
      await start(specOf(ONE, 2));
      const host = hostPid(dataDir);
      const children = readFileSync(`/proc/${host}/task/${host}/children`, 'utf8').trim().split(' ');
      process.kill(host, 'SIGKILL');
      await until(() =>
        children.some((pid) => existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`).length > 0)
          ? null
          : true,
      );
    });

    it('filling the disk', async () => {
      const one = await shell();
      await one.channel.write(Buffer.from('for i in $(seq 40); do head -c 8000000 /dev/zero > big$i; done; echo filled\n'));
      await until(async () => {
        const sighting = await driver.look(placeOf(ONE));
        return sighting.seen === 'stopped' && sighting.reason === 'volume_full' ? true : null;
      });
      // It can be started to be cleaned up.
      await start(specOf(ONE, 2));
      expect(await (await shell()).run('rm -f big*; ls | wc -l')).toBe('0\n');
    });

    it('hiding what it stores in paths too long to name, in folders, in empty files or behind closed doors', async () => {
      const full = async (): Promise<unknown> =>
        until(async () => {
          const sighting = await driver.look(placeOf(ONE));
          return sighting.seen === 'stopped' && sighting.reason === 'volume_full' ? true : null;
        });
      const resources = { cpuMillis: 1000, memoryBytes: 256 * 2 ** 20, storageBytes: 8 * 2 ** 20 };
      await driver.destroy(placeOf(ONE));
      const hide = [
        `perl -e 'for (1..3000) { mkdir "dd"; chdir "dd" } for $i (1..8) { open F, ">$i"; print F "x" x 2e6; close F }'`,
        'mkdir many; cd many; seq 2500 | xargs mkdir',
        'mkdir many; cd many; seq 2500 | xargs touch',
        `perl -e 'mkdir "shut"; open $f[$_], ">shut/$_" for 1..8; chmod 0, "shut"; for (1..8) { my $f = $f[$_]; print $f "x" x 2e6 }'`,
      ];
      for (const [index, command] of hide.entries()) {
        await start(specOf(ONE, index + 2, { resources }));
        await (await shell()).channel.write(Buffer.from(`${command}\n`));
        await full();
        await driver.destroy(placeOf(ONE));
        expect(existsSync(join(dataDir, 'environments', ONE))).toBe(false);
      }
    });

    it('having what its links point to removed with it', async () => {
      const outside = join(dataDir, 'outside');
      mkdirSync(outside);
      writeFileSync(join(outside, 'precious'), 'x');
      const one = await shell();
      await one.run(`ln -s ${outside} link; ln -s / root; mkdir -p deep/er; ln -s ../../.. deep/er/up; chmod 0 deep/er`);
      symlinkSync(outside, join(dataDir, 'environments', ONE, 'workspace', 'planted'));
      await driver.destroy(placeOf(ONE));
      expect(existsSync(join(outside, 'precious'))).toBe(true);
      expect(existsSync(join(dataDir, 'environments', ONE))).toBe(false);
      expect(statSync('/usr').isDirectory()).toBe(true);
    });

    it('leaving a process behind', async () => {
      const one = await shell();
      await one.run('(setsid nohup sleep 4321 >/dev/null 2>&1 &) ; (trap "" TERM HUP; sleep 4321 & wait) >/dev/null 2>&1 &');
      await driver.stop(placeOf(ONE), { incarnation: 1, graceMs: 200, kill: false });
      await stopped(ONE);
      const left = readdirSync('/proc').filter((pid) => {
        try {
          return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep\x004321');
        } catch {
          return false;
        }
      });
      expect(left).toEqual([]);
    });
  });
});
