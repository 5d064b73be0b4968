import { type Sighting } from '@devpocket/runtime';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineProxy, reach, testEngine, TestEngine } from '../testing';
import { type DockerDriver } from './docker.driver';

const ID = '0123456789abcdef0000fa00';
/** Memory is a multiple of a thousand pages, by which the kernel's score is counted. */
const SMALL = { cpuMillis: 500, memoryBytes: 16_000 * 4096, storageBytes: 16 * 2 ** 20 };

/** A shell that has said what it was asked to say. */
async function shellIn(driver: DockerDriver, engine: TestEngine, command: string) {
  const channel = await driver.openTerminal(engine.place(ID), { sessionId: 'one', cols: 80, rows: 24 });
  let heard = '';
  channel.attach((chunk) => (heard += chunk.toString('utf8')));
  await channel.write(Buffer.from(`${command}\n`));
  return {
    channel,
    hears: async (text: string | RegExp): Promise<string> => {
      for (;;) {
        const found = typeof text === 'string' ? heard.includes(text) && text : text.exec(heard)?.[1];
        if (found) return found;
        await delay(10);
      }
    },
    heard: () => heard,
  };
}

describe('what goes wrong on an engine', () => {
  let engine: TestEngine;
  let driver: DockerDriver;
  beforeEach(async () => {
    engine = await TestEngine.open('faults');
    await engine.clear();
    driver = await engine.driver();
    await driver.start(engine.spec(ID, 1, { resources: SMALL }));
    await reach(driver, place(), 'running');
  });
  afterEach(() => engine.close());
  const place = () => engine.place(ID);
  const signal = async (name: string): Promise<void> => {
    const { Id } = await engine.running(ID);
    await engine.engine.post(`/containers/${Id}/kill`, { query: { signal: name } });
  };

  it('a container out of memory is told of, its shells too, and starts again', async () => {
    // The kernel chooses the first process, which alone ends the container; by its own wish, as nobody else's may be asked for.
    const { channel } = await shellIn(
      driver,
      engine,
      'echo 1000 >/proc/1/oom_score_adj; x=$(head -c 200000000 /dev/zero | tr "\\0" x)',
    );
    expect(await reach(driver, place(), 'failed')).toMatchObject({ reason: 'out_of_memory', retryable: true });
    expect(await channel.ended).toMatchObject({ reason: 'out_of_memory' });
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    expect(await driver.look(place())).toEqual({ seen: 'stopped', incarnation: 1, reason: null, message: null });
    await driver.start(engine.spec(ID, 2, { resources: SMALL }));
    await reach(driver, place(), 'running', { incarnation: 2 });
  });

  it('a container that somebody kills or asks to end is told apart, and ends no other way than it did', async () => {
    const told: string[] = [];
    driver.onChange((id) => told.push(id));
    await signal('SIGTERM');
    expect(await reach(driver, place(), 'failed')).toMatchObject({ incarnation: 1, reason: 'evicted', retryable: true });
    // Podman tells of it some moments later.
    while (!told.includes(ID)) await delay(10);
    await driver.start(engine.spec(ID, 2));
    await reach(driver, place(), 'running', { incarnation: 2 });
    const { channel } = await shellIn(driver, engine, 'echo');
    await signal('SIGQUIT');
    await signal('SIGKILL');
    expect(await reach(driver, place(), 'failed')).toMatchObject({ incarnation: 2, retryable: true });
    expect(await channel.ended).toMatchObject({ signal: expect.stringMatching(/SIG(HUP|KILL)/) as string });
  });

  it('a container that somebody removes is missed, and its volume is there for the next', async () => {
    const { hears } = await shellIn(driver, engine, 'echo safe >kept; echo do""ne');
    await hears('done\r\n');
    await engine.rob(ID);
    // The reconciler takes what ended by itself for lost by the incarnation that it bore.
    expect(await reach(driver, place(), 'stopped')).toMatchObject({ incarnation: 1 });
    await driver.start(engine.spec(ID, 2));
    await reach(driver, place(), 'running', { incarnation: 2 });
    const again = await shellIn(driver, engine, 'sed s/^/=/ kept');
    await again.hears('=safe\r\n');
  });

  it('what `container prune` takes away is made again: startup commands do not run twice', async () => {
    const other = `${ID.slice(0, -1)}1`;
    const spec = (incarnation: number) => engine.spec(other, incarnation, { startupCommands: ['echo once >>ran', 'exit 4'] });
    await driver.start(spec(1));
    const failed = { startupFailed: expect.stringContaining('exit 4') as string };
    expect(await reach(driver, engine.place(other), 'running')).toMatchObject(failed);
    await driver.stop(engine.place(other), { incarnation: 1, graceMs: 0, kill: true });
    await reach(driver, engine.place(other), 'stopped');
    for (const { Id } of await engine.containers(other))
      await engine.engine.delete(`/containers/${Id}`, { query: { force: true } });
    await driver.start(spec(2));
    expect(await reach(driver, engine.place(other), 'running')).toMatchObject(failed);
    const channel = await driver.openTerminal(engine.place(other), { sessionId: 'one', cols: 80, rows: 24 });
    let heard = '';
    channel.attach((chunk) => (heard += chunk.toString('utf8')));
    await channel.write(Buffer.from('echo "=$(ls -A)=$(wc -l <ran)=$(ls /devpocket 2>&1)=$(id -u)="\n'));
    while (!heard.includes('=1000=\r\n')) await delay(10);
    // A clean folder, and no way to the mark.
    expect(heard).toMatch(/=ran=1=ls: \/devpocket: No such file or directory=1000=/);
  });

  it('a volume above its size ends its environment, where the storage does not hold it to that', async () => {
    const { hears } = await shellIn(driver, engine, 'head -c 40000000 /dev/zero >large; echo do""ne');
    await hears('done\r\n');
    for (let seen: Sighting = { seen: 'absent' }; seen.seen !== 'failed'; seen = await driver.look(place())) {
      await driver.usage([place()]);
      await delay(100);
    }
    expect(await driver.look(place())).toMatchObject({ reason: 'volume_full', retryable: true });
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    await driver.start(engine.spec(ID, 2, { resources: SMALL }));
    await reach(driver, place(), 'running', { incarnation: 2 });
  });

  it('what is left of one without a record is listed, whatever it is, and goes', async () => {
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    await reach(driver, place(), 'stopped');
    for (const { Id } of await engine.containers()) await engine.engine.delete(`/containers/${Id}`, { query: { force: true } });
    expect(await engine.left()).toEqual([`volume env-${ID}`, `volume env-${ID}-state`]);
    expect(await driver.list()).toEqual([{ ...place(), install: 'faults' }]);
    await driver.destroy(place());
    expect(await engine.left()).toEqual([]);
  });

  it('a log is kept over incarnations, with cursors that stand, and is followed over a start', async () => {
    const { hears } = await shellIn(driver, engine, 'for i in 1 2 3; do echo first-$i >/proc/1/fd/1; done; echo do""ne');
    await hears('done\r\n');
    const read = async (after: string | null) => {
      const found: { message: string; cursor: string }[] = [];
      const query = { lines: 1000, since: null, after, follow: false };
      for await (const event of driver.logs(place(), query, new AbortController().signal))
        if (event.type === 'log') found.push(event);
      return found;
    };
    const before = await read(null);
    expect(before.map(({ message }) => message)).toEqual(['Started test', 'first-1', 'first-2', 'first-3']);
    const stop = new AbortController();
    const followed: string[] = [];
    const following = (async () => {
      const query = { lines: 1, since: null, after: null, follow: true };
      for await (const event of driver.logs(place(), query, stop.signal))
        followed.push(event.type === 'log' ? event.message : event.type);
    })();
    while (!followed.includes('caught_up')) await delay(10);
    await driver.stop(place(), { incarnation: 1, graceMs: 2_000, kill: false });
    await reach(driver, place(), 'stopped');
    expect((await read(null)).map(({ message }) => message)).toContain('first-3');
    await driver.start(engine.spec(ID, 2));
    await reach(driver, place(), 'running', { incarnation: 2 });
    expect((await read(before[1]?.cursor ?? null)).map(({ message }) => message)).toEqual([
      'first-2',
      'first-3',
      'Stopping',
      'Started test',
    ]);
    while (followed.at(-1) !== 'Started test') await delay(10);
    stop.abort();
    await following;
    expect(followed).toEqual(['first-3', 'caught_up', 'Stopping', 'restarted', 'Started test']);
  });

  it('lines of any length are whole lines', async () => {
    const { hears } = await shellIn(
      driver,
      engine,
      'for n in 16383 16384 16385 40000; do head -c $n /dev/zero | tr "\\0" x; echo; done >/proc/1/fd/1; echo do""ne',
    );
    await hears('done\r\n');
    const lengths: (readonly [number, boolean])[] = [];
    while (lengths.length < 4) {
      lengths.length = 0;
      const query = { lines: 1000, since: null, after: null, follow: false };
      for await (const event of driver.logs(place(), query, new AbortController().signal))
        if (event.type === 'log' && event.source === 'container') lengths.push([event.message.length, event.truncated]);
    }
    expect(lengths).toEqual([
      [16_383, false],
      [16_384, false],
      [16_384, true],
      [16_384, true],
    ]);
  });
});

describe('an engine that does not answer', () => {
  it('changes no status, is seen again without a restart, and its shells go on where they were', async () => {
    const proxy = await EngineProxy.open(testEngine());
    const engine = await TestEngine.open('unreachable', proxy.settings);
    await engine.clear();
    try {
      const driver = await engine.driver();
      const place = engine.place(ID);
      await driver.start(engine.spec(ID, 1));
      await reach(driver, place, 'running');
      const shell = await shellIn(driver, engine, 'echo pid-$$-; sleep 2; seq 50000');
      const pid = await shell.hears(/pid-(\d+)-/);
      await proxy.stop();
      const typed = shell.channel.write(Buffer.from('echo typed-$$-\n'));
      for (const call of [
        () => driver.look(place),
        () => driver.check(AbortSignal.timeout(5_000)),
        () => driver.start(engine.spec(ID, 2)),
        () => driver.stop(place, { incarnation: 1, graceMs: 0, kill: true }),
        () => driver.destroy(place),
        () => driver.openTerminal(place, { sessionId: 'b', cols: 80, rows: 24 }),
        () => driver.list(),
      ])
        await expect(call()).rejects.toMatchObject({ kind: 'unreachable' });
      expect((await driver.usage([place])).size).toBe(0);
      await delay(5_000);
      const told: string[] = [];
      driver.onChange((id) => told.push(id));
      await proxy.start();
      await typed;
      await shell.hears(`typed-${pid}-`);
      const numbers = Array.from({ length: 50_000 }, (_, at) => `${at + 1}\r\n`).join('');
      expect(shell.heard().split(numbers)).toHaveLength(2);
      expect(await driver.look(place)).toMatchObject({ seen: 'running', incarnation: 1 });
      while (told.length === 0) await delay(10);
      expect(told).toContain(ID);
    } finally {
      await engine.close();
      await proxy.stop();
    }
  });
});
