import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { InputWriter } from './input-writer';
import { type ProcessEnd } from './processes';
import { Pty } from './pty';

const ENV = { PATH: process.env.PATH ?? '', PS1: '$ ' };

interface Shell {
  readonly pty: Pty;
  readonly pid: number;
  readonly output: () => string;
  readonly ended: Promise<ProcessEnd>;
}

function run(script: string): Shell {
  const { pty, pid } = Pty.plain(['/bin/sh', '-c', script], 80, 24, '/', ENV);
  let output = '';
  const ended = new Promise<ProcessEnd>((resolve) => pty.begin((chunk) => (output += chunk.toString('latin1')), resolve));
  pty.read(Infinity);
  return { pty, pid: pid(), output: () => output, ended };
}

async function until(look: () => boolean): Promise<void> {
  while (!look()) await new Promise((resolve) => setImmediate(resolve));
}

function taken(writer: InputWriter, bytes: Buffer, seq: number): Promise<boolean> {
  return new Promise((resolve) => {
    writer.write(bytes, { clientId: 'phone', seq }, resolve);
  });
}

describe('a PTY', () => {
  afterEach(() => jest.useRealTimers());
  const numbers = Array.from({ length: 3_000 }, (_, index) => `${index + 1}\r\n`).join('');

  it('is read to the last byte of a program that ends at once, every time', async () => {
    for (let round = 0; round < 50; round += 1) {
      const { output, ended } = run('seq 3000; exit 7');
      expect(await ended).toEqual({ code: 7, signal: null });
      expect(output() === numbers).toBe(true);
    }
  });

  it('is read to the last byte when nobody took anything before', async () => {
    const { pty, output, ended } = run('seq 500; exit 7');
    pty.read(0);
    expect(await ended).toEqual({ code: 7, signal: null });
    expect(output() === numbers.slice(0, output().length)).toBe(true);
    expect(output().endsWith('\r\n500\r\n')).toBe(true);
  });

  it('is read as far as it may be, and at most one read of the kernel beyond', async () => {
    const { pty, pid, output, ended } = run('exec yes');
    let due = 0;
    for (const room of [10_000, 1, 100_000, 1, 300_000, 1, 1, 1]) {
      pty.read(room);
      due = Math.max(due, output().length) + room;
      await until(() => output().length >= due);
      for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(output().length - due).toBeLessThanOrEqual(16_384);
    }
    process.kill(pid);
    await ended;
  });

  it('ends with its program, whatever that leaves in the background', async () => {
    const { output, ended } = run("(trap '' HUP; while echo more; do :; done) & echo last; kill -9 $$");
    expect(await ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(output()).toContain('last');
  });

  it.each([
    ['another one', false],
    ['both', true],
  ])('takes breaths in a flood while somebody types into %s, and comes whole all the same', async (_, both) => {
    const other = run('stty raw -echo; echo ready; exec cat >/dev/null');
    await until(() => other.output().includes('ready'));
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'performance', 'queueMicrotask'] });
    let [over, breaths] = [false, 0];
    const { pty, output, ended } = run('stty -echo; echo ready; exec 3<&0; cat <&3 >/dev/null & seq 400000; kill $!');
    void ended.then(() => (over = true));
    await until(() => output().includes('ready'));
    await until(() => {
      other.pty.write(Buffer.from('x'));
      if (both) pty.write(Buffer.from('\n'));
      breaths += jest.getTimerCount();
      jest.advanceTimersByTime(1);
      return over;
    });
    process.kill(other.pid);
    await other.ended;
    // One behind 16 KiB where the program is fast enough, some 180 of them; without, none.
    expect(breaths).toBeGreaterThan(3);
    expect(output() === `ready\r\n${Array.from({ length: 400_000 }, (_, index) => `${index + 1}\r\n`).join('')}`).toBe(true);
  });

  it('takes more than it holds as its program reads, whole, in order and once', async () => {
    const { pty, output, ended } = run('stty raw -echo; echo ready; head -c 300000 | sha1sum');
    const writer = new InputWriter((bytes) => pty.write(bytes));
    await until(() => output().includes('ready'));
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => 33 + (index % 90)));
    expect(await taken(writer, bytes.subarray(0, 1_000), 1_000)).toBe(true);
    expect(await taken(writer, bytes, bytes.length)).toBe(true);
    expect(writer.marks.get('phone')).toBe(bytes.length);
    await ended;
    expect(output()).toContain(createHash('sha1').update(bytes).digest('hex'));
  });

  it('costs next to nothing while its program does not read, and tells what it did not take', async () => {
    const { pty, output, ended } = run('stty raw -echo; echo ready; exec sleep 1');
    const writer = new InputWriter((bytes) => pty.write(bytes));
    await until(() => output().includes('ready'));
    const before = process.cpuUsage();
    const all = taken(writer, Buffer.alloc(100_000, 'x'), 100_000);
    await delay(500);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(100);
    await ended;
    writer.end();
    expect(await all).toBe(false);
    expect(await taken(writer, Buffer.from('x'), 100_001)).toBe(false);
    expect(writer.marks.get('phone') ?? 0).toBeLessThan(100_000);
  });
});
