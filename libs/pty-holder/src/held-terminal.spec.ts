import { SystemClock } from '@devpocket/kernel';
import { RuntimeError, type TerminalExit } from '@devpocket/runtime';
import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalStream } from '../testing';
import { holderCommand, recordsOf } from './entry';
import { consumedFrame, FrameReader, HANG_UP_FRAME, inputFrame } from './frames';
import { HeldTerminal, type HeldTerminalOptions } from './held-terminal';

const SHELL = ['/bin/sh', '-c', 'cd /tmp; export PS1="$ "; exec /bin/sh -i'];
const RING = 262_144;

function listen(terminal: HeldTerminal, allowed = Infinity): { text: string } {
  const heard = { text: '' };
  terminal.attach((chunk) => (heard.text += chunk.toString('latin1')));
  terminal.allow(allowed);
  return heard;
}

async function until<T>(look: () => T | null | false | Promise<T | null | false>): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen !== null && seen !== false) return seen;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Their processes: they remember an ended shell for ten minutes. */
function holders(name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && (read(`/proc/${entry}/cmdline`) ?? '').includes(`\0open\0${name}`))
    .map(Number);
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return null; // it has ended
  }
}

/** A hundredth of every wait. */
class HastyClock extends SystemClock {
  readonly waits: number[] = [];

  override wait(ms: number): Promise<void> {
    this.waits.push(ms);
    return super.wait(ms / 100);
  }
}

/** Runs holders on this machine, with ways that can be cut. */
class World {
  readonly streams: LocalStream[] = [];
  readonly own: (TerminalExit | null)[] = [];
  reachable = true;
  options: HeldTerminalOptions = {
    clock: new SystemClock(),
    bufferBytes: RING,
    touch: () => undefined,
    explain: (own) => {
      this.own.push(own);
      return Promise.resolve(own ?? { code: null, signal: 'SIGHUP', reason: 'killed' });
    },
    run: (command) => {
      if (!this.reachable) return Promise.reject(new RuntimeError('unreachable', 'cut'));
      const stream = new LocalStream(command);
      this.streams.push(stream);
      return Promise.resolve(stream);
    },
  };

  cut(): void {
    this.streams.at(-1)?.close();
  }

  open(sessionId: string, shell = SHELL): Promise<HeldTerminal> {
    return HeldTerminal.open(this.options, { sessionId, cols: 80, rows: 24 }, shell);
  }
}

describe('a shell that a holder keeps', () => {
  let world: World;
  let name: string;
  let opened: HeldTerminal[];
  beforeEach(() => {
    world = new World();
    name = `spec-${randomUUID()}`;
    opened = [];
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    world.reachable = true;
    for (const terminal of opened) await terminal.kill();
    await Promise.all(opened.map(({ ended }) => ended));
    for (const pid of holders(name.slice(0, 'spec-'.length + 36))) {
      try {
        process.kill(pid);
      } catch {
        // it has ended meanwhile
      }
    }
  });
  const open = async (shell?: string[]): Promise<HeldTerminal> => {
    const terminal = await world.open(name, shell);
    opened.push(terminal);
    return terminal;
  };
  const adopt = async (): Promise<HeldTerminal> => {
    const terminal = await HeldTerminal.adopt(world.options, name);
    opened.push(terminal);
    return terminal;
  };
  const record = (): ReturnType<typeof recordsOf>[number] | undefined => {
    const [file = '', ...args] = holderCommand(['list']);
    return recordsOf(execFileSync(file, args, { encoding: 'utf8' })).find(({ sessionId }) => sessionId === name);
  };

  it('echoes, has a size, tells what is in the foreground, and ends with its code', async () => {
    const terminal = await open();
    const heard = listen(terminal);
    expect([terminal.start, terminal.kept, terminal.cols, terminal.rows]).toEqual([0, 0, 80, 24]);
    await terminal.resize({ cols: 100, rows: 30 });
    await terminal.write(Buffer.from('stty size\n'));
    await until(() => heard.text.includes('30 100'));
    await until(async () => (await terminal.foregroundBusy()) === false);
    await terminal.write(Buffer.from('sleep 60\n'));
    await until(() => terminal.foregroundBusy());
    await terminal.write(Buffer.from([3]));
    await until(async () => !(await terminal.foregroundBusy()));
    expect(record()).toMatchObject({ cols: 100, rows: 30, exit: null });
    await terminal.write(Buffer.from('exit 5\n'));
    expect(await terminal.ended).toEqual({ code: 5, signal: null, reason: 'exited' });
    await expect(terminal.write(Buffer.from('x'))).rejects.toMatchObject({ kind: 'gone' });
    expect(record()).toMatchObject({ exit: { code: 5, signal: null, reason: 'exited' } });
  });

  it('loses no byte of output and types no line twice when its ways are cut again and again', async () => {
    world.options = { ...world.options, clock: new HastyClock() };
    const terminal = await open(['/bin/sh', '-c', 'stty raw -echo; printf ready; exec cat']);
    const heard = listen(terminal);
    await until(() => heard.text === 'ready');
    const lines = Array.from({ length: 4_000 }, (_, index) => `line ${index} ${'x'.repeat(index % 97)}\n`);
    let seq = 0;
    let cuts = 0;
    const all = Promise.all(
      lines.map((line, index) => {
        seq += line.length;
        const mark = index % 2 === 0 ? { clientId: 'phone', seq } : undefined;
        if (!mark) seq -= line.length;
        return terminal.write(Buffer.from(line), mark);
      }),
    );
    const whole = `ready${lines.join('')}`;
    await until(() => {
      if (heard.text.length > cuts * 5_000) {
        cuts += 1;
        world.cut();
      }
      return heard.text.length >= whole.length;
    });
    await all;
    const sum = (text: string): string => createHash('sha256').update(text).digest('hex');
    expect(sum(heard.text)).toBe(sum(whole));
    expect(cuts).toBeGreaterThan(10);
  });

  it('goes on when its container was out of reach for a while, with what was typed and printed meanwhile', async () => {
    const terminal = await open();
    const heard = listen(terminal);
    await terminal.write(Buffer.from('echo $$ > /dev/null; sleep 0.2; echo pid-$$\n'));
    world.reachable = false;
    world.cut();
    let taken = false;
    const meanwhile = terminal.write(Buffer.from('echo again-$$\n')).then(() => (taken = true));
    await terminal.resize({ cols: 90, rows: 20 });
    const tries = world.streams.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect([taken, world.streams.length]).toEqual([false, tries]);
    world.reachable = true;
    await meanwhile;
    const [, pid] = await until(() => /again-(\d+)\r/.exec(heard.text));
    expect(heard.text).toContain(`pid-${pid}\r`);
    await terminal.write(Buffer.from('stty size\n'));
    await until(() => heard.text.includes('20 90'));
  });

  it('is taken over by another server, with its output and its marks, and its old server lets go', async () => {
    const first = await open();
    const before = listen(first);
    const line = Buffer.from('echo on""ce\n');
    await first.write(line, { clientId: 'phone', seq: line.length });
    await until(() => before.text.includes('once'));
    const second = await adopt();
    const heard = listen(second);
    expect([second.start, second.inputMarks.get('phone')]).toEqual([0, line.length]);
    expect(second.kept).toBeGreaterThanOrEqual(before.text.length);
    await second.write(line, { clientId: 'phone', seq: line.length });
    await second.write(Buffer.from('echo ne""xt\n'), { clientId: 'phone', seq: line.length + 12 });
    await until(() => heard.text.includes('next'));
    expect(heard.text.startsWith(before.text)).toBe(true);
    expect(heard.text.match(/once\r/g)).toHaveLength(1);
    expect(await first.ended).toEqual({ code: null, signal: null, reason: 'killed', elsewhere: true });
  });

  it('stays with the server that took it over, though the old one could not be told', async () => {
    const first = await open(['/bin/sh', '-c', 'stty raw -echo; printf ready; exec cat']);
    await until(() => (record()?.position ?? 0) > 0);
    world.reachable = false;
    world.cut();
    const second = await HeldTerminal.adopt(
      { ...world.options, run: (command) => Promise.resolve(new LocalStream(command)) },
      name,
    );
    opened.push(second);
    const heard = listen(second);
    world.reachable = true;
    listen(first);
    expect(await first.ended).toEqual({ code: null, signal: null, reason: 'killed', elsewhere: true });
    await second.write(Buffer.from('still here'));
    await until(() => heard.text.includes('still here'));
  });

  it('holds its program up, not its memory, while nobody takes the output', async () => {
    const terminal = await open(['/bin/sh', '-c', 'stty raw -echo; head -c 3000000 /dev/zero; exec cat']);
    const heard = listen(terminal, 0);
    await until(() => (record()?.position ?? 0) >= RING);
    expect(record()?.position).toBe(RING);
    terminal.allow(Infinity);
    await until(() => heard.text.length === 3_000_000);
  });

  it('keeps all that nobody has consumed while no server is there, and has its program wait for the rest', async () => {
    const first = await open(['/bin/sh', '-c', 'stty raw -echo; printf ready; read -r _; seq 200000; exec cat']);
    const before = listen(first);
    await until(() => before.text === 'ready');
    await first.write(Buffer.from('go\n'));
    first.detach();
    opened = [];
    await until(() => (record()?.position ?? 0) >= RING);
    const second = await adopt();
    const heard = listen(second);
    const whole = `ready${Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('')}`;
    await until(() => second.start + heard.text.length >= whole.length);
    expect(second.start).toBeLessThanOrEqual(before.text.length);
    expect(heard.text === whole.slice(second.start)).toBe(true);
  });

  it('hands over what was kept, byte by byte, though its program goes on printing before all of it is sent', async () => {
    const first = await open(['/bin/sh', '-c', 'stty raw -echo; seq 50000; read -r _; seq 50001 100000; exec cat']);
    const before = listen(first);
    await until(() => before.text.endsWith('\n50000\n'));
    const slow = new LocalStream(holderCommand(['attach', name, '7', '0', '524288']));
    await slow.write(inputFrame(0, Buffer.from('go\n'), '', 0));
    await until(async () => {
      const position = record()?.position;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return position === record()?.position;
    });
    const whole = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join('');
    const reader = new FrameReader();
    const heard = { from: -1, text: '' };
    slow.attach((chunk) => {
      for (const frame of reader.push(chunk)) {
        if (frame.type === 'hello') heard.from = frame.hello.from;
        if (frame.type === 'output') heard.text += frame.bytes.toString('latin1');
      }
      slow.write(consumedFrame(heard.from + heard.text.length)).catch(() => undefined);
    });
    await until(() => heard.from + heard.text.length >= whole.length);
    expect(heard.text === whole.slice(heard.from)).toBe(true);
    opened = [];
    await slow.write(HANG_UP_FRAME);
    await slow.end;
  });

  it('hands over the rest and the end of a shell that is paused, and of one that ended while no server was there', async () => {
    const terminal = await open();
    const heard = listen(terminal, 0);
    await terminal.write(Buffer.from('echo last\nexit 3\n'));
    expect(await terminal.ended).toMatchObject({ code: 3 });
    expect(heard.text).toContain('last\r\n');
    const later = await adopt();
    const again = listen(later);
    expect(await later.ended).toMatchObject({ code: 3 });
    expect(again.text).toBe(heard.text);
  });

  it('ends though something in the background holds its terminal, and though it does not mind being hung up', async () => {
    const terminal = await open();
    listen(terminal);
    await terminal.write(Buffer.from("(trap '' HUP; sleep 5) & exit 4\n"));
    expect(await terminal.ended).toMatchObject({ code: 4 });
    name = `${name}-2`;
    const stubborn = await open(['/bin/sh', '-c', "trap '' HUP TERM; echo ready; while :; do sleep 1; done"]);
    const heard = listen(stubborn);
    await until(() => heard.text.includes('ready'));
    await stubborn.kill();
    expect(await stubborn.ended).toEqual({ code: null, signal: 'SIGHUP', reason: 'killed' });
  });

  it('flows through the smallest ring', async () => {
    world.options = { ...world.options, bufferBytes: 4_096 };
    const terminal = await open(['/bin/sh', '-c', 'stty raw -echo; seq 20000; exec cat']);
    const heard = listen(terminal);
    const whole = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join('');
    await until(() => heard.text.length >= whole.length);
    expect(heard.text === whole).toBe(true);
  });

  it('confirms no more input when its program dies with input and output waiting, and its holder ends with the pod', async () => {
    const terminal = await open(['/bin/sh', '-c', 'stty raw -echo; echo $$; read -r _; seq 300000; exec cat']);
    const heard = listen(terminal, 0);
    const [, pid] = await until(() => /^(\d+)\n/.exec(heard.text));
    await terminal.write(Buffer.from('\n'));
    let taken = 0;
    const writes = Array.from({ length: 30 }, () => terminal.write(Buffer.alloc(10_000)).then(() => (taken += 1)));
    const lost = Promise.allSettled(writes).then((all) => all.filter(({ status }) => status === 'rejected').length);
    const still = async <T>(look: () => T): Promise<T> =>
      until(async () => {
        const before = look();
        await new Promise((resolve) => setTimeout(resolve, 200));
        return before === look() && before;
      });
    await still(() => `${record()?.position}, ${taken}`);
    const before = taken;
    process.kill(Number(pid), 'SIGKILL');
    await until(() => read(`/proc/${pid}/stat`) === null);
    world.reachable = false;
    for (const holder of holders(name)) process.kill(holder);
    await until(() => holders(name).length === 0);
    world.reachable = true;
    expect(await terminal.ended).toMatchObject({ reason: 'killed' });
    expect([taken, await lost]).toEqual([before, 30 - before]);
  });

  it('may do the same in a container where the program had to come first', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'held-'));
    const container = ['bwrap', '--dev-bind', '/', '/', '--bind', folder, '/tmp', '--bind', folder, '/var/tmp'];
    world.options = { ...world.options, run: (command) => Promise.resolve(new LocalStream([...container, ...command])) };
    const heard = listen(await open(['/bin/sh', '-c', 'umask; exec cat']));
    await until(() => heard.text.includes('\n'));
    expect(parseInt(heard.text, 8)).toBe(process.umask());
    expect(readdirSync(folder)).toHaveLength(1);
    rmSync(folder, { recursive: true });
  });

  it('waits for no answer for ever, neither what is in the foreground nor the end of what is to end', async () => {
    world.options = { ...world.options, clock: new HastyClock() };
    const terminal = await open();
    listen(terminal);
    await until(async () => (await terminal.foregroundBusy()) === false);
    const signal = (kind: NodeJS.Signals): void => holders(name).forEach((holder) => process.kill(holder, kind));
    signal('SIGSTOP');
    for (let asked = 0; asked < 40; asked += 1) expect(await terminal.foregroundBusy()).toBeNull();
    signal('SIGCONT');
    await until(async () => (await terminal.foregroundBusy()) === false);
    signal('SIGSTOP');
    await terminal.kill();
    expect(await terminal.ended).toEqual({ code: null, signal: 'SIGHUP', reason: 'killed' });
    signal('SIGCONT');
  });

  it('is looked for more and more seldom where its way breaks each time, and ends by a certain word only', async () => {
    const clock = new HastyClock();
    const { run } = world.options;
    const broken = ['exit 0', 'exit 137', 'echo hallo', 'echo no room >&2; exit 74'];
    let reached = 0;
    const options: HeldTerminalOptions = {
      ...world.options,
      clock,
      run: (command) => {
        reached += 1;
        const script = reached > 1 ? broken.shift() : undefined;
        return script === undefined ? run(command) : Promise.resolve(new LocalStream(['/bin/sh', '-c', script]));
      },
    };
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const terminal = await HeldTerminal.open(options, { sessionId: name, cols: 80, rows: 24 }, SHELL);
    opened.push(terminal);
    const heard = listen(terminal);
    world.cut();
    await terminal.write(Buffer.from('echo sti""ll\n'));
    await until(() => heard.text.includes('still'));
    world.cut();
    await terminal.write(Buffer.from('echo aga""in\n'));
    await until(() => heard.text.includes('again'));
    expect(clock.waits).toEqual([100, 200, 400, 800, 1_600, 3_200]);
  });

  it('has said its end before its holder goes with the pod', async () => {
    const terminal = await open(['/bin/sh', '-c', "trap 'echo bye; exit 6' HUP; echo ready; while :; do sleep 0.05; done"]);
    const heard = listen(terminal);
    await until(() => heard.text.includes('ready'));
    const since = performance.now();
    // Not the one that was run here and waits.
    const [holder = 0] = holders(name).filter((pid) => read(`/proc/${pid}/stat`)?.split(' ')[3] !== String(process.pid));
    process.kill(holder);
    expect(await terminal.ended).toMatchObject({ code: 6 });
    expect(heard.text).toMatch(/bye\r\n$/);
    await until(() => holders(name).length === 0);
    expect(performance.now() - since).toBeLessThan(1_500);
  });

  it('is gone when its holder is, and says what a container lacks', async () => {
    await expect(HeldTerminal.adopt(world.options, name)).rejects.toMatchObject({ kind: 'gone', message: /no such terminal/ });
    const terminal = await open();
    const heard = listen(terminal);
    await terminal.write(Buffer.from('echo holder-$PPID\n'));
    const [, holder] = await until(() => /holder-(\d+)\r/.exec(heard.text));
    process.kill(Number(holder), 'SIGKILL');
    expect(await terminal.ended).toEqual({ code: null, signal: 'SIGHUP', reason: 'killed' });
    const answer = (script: string): HeldTerminalOptions => ({
      ...world.options,
      run: () => Promise.resolve(new LocalStream(['/bin/sh', '-c', script])),
    });
    const refused = (script: string): Promise<unknown> =>
      HeldTerminal.adopt(answer(script), name).catch(({ kind, message }: RuntimeError) => `${kind}: ${message}`);
    expect(await refused('echo Nsparc; cat')).toBe('refused: There is no terminal on machines of the kind sparc');
    expect(await refused('echo no room >&2; exit 74')).toBe('refused: There is no terminal: no room');
    expect(await refused('echo hallo; cat')).toMatch(/^refused: The terminal's program in the container is not ours/);
  });
});
