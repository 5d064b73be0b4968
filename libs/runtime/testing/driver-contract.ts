import { isDeepStrictEqual } from 'node:util';
import { type EnvironmentSpec, type LogEvent, type Place, type RuntimeDriver, type Sighting, type TerminalChannel } from '../src';

/** How a driver's spec brings one up; `reopen` is what the next server would do. */
export interface DriverHarness {
  readonly driver: RuntimeDriver;
  /** Where its environments are and what of; without it on no cluster and of no image. */
  readonly where?: { readonly clusterId: string | null; readonly image: string };
  reopen(): Promise<RuntimeDriver>;
  close(): Promise<void>;
}

const ID = '0123456789abcdef0123abcd';
/** Of one step; a cluster takes some seconds to end a pod. */
const LONGEST_MS = 25_000;
/** Of a first reading: a kubelet measures every 10 to 15 s, and what it said is kept for 15. */
const FIRST_READING_MS = 75_000;

async function until<T>(look: () => Promise<T | null> | T | null, longestMs = LONGEST_MS): Promise<T> {
  const end = performance.now() + longestMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > end) throw new Error(`not within ${longestMs / 1000} s`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Collects what a terminal prints. */
function listen(channel: TerminalChannel, allowed = Infinity): { text: () => string } {
  let text = '';
  channel.attach((chunk) => (text += chunk.toString('utf8')));
  channel.allow(allowed);
  return { text: () => text };
}

/** What every driver promises, the fake as well as the real ones. */
export function describeDriverContract(name: string, open: () => Promise<DriverHarness>): void {
  describe(`the contract of drivers, kept by ${name}`, () => {
    let harness: DriverHarness;
    let driver: RuntimeDriver;
    let place: Place;
    beforeEach(async () => {
      harness = await open();
      ({ driver } = harness);
      place = { environmentId: ID, userId: 'u', clusterId: harness.where?.clusterId ?? null };
    });
    afterEach(() => harness.close());

    function specOf(incarnation: number, startupCommands: readonly string[] = []): EnvironmentSpec {
      const resources = { cpuMillis: 1000, memoryBytes: 256 * 2 ** 20, storageBytes: 64 * 2 ** 20 };
      return {
        ...place,
        install: 'this',
        incarnation,
        name: 'contract',
        image: harness.where?.image ?? '',
        defaultPort: null,
        resources,
        environmentVariables: {},
        startupCommands,
        quota: { active: 1, kept: 1, each: resources },
        readOnlyRoot: false,
        soleUser: false,
      };
    }

    const reach = (seen: Sighting['seen']): Promise<Sighting> =>
      until(async () => {
        const sighting = await driver.look(place);
        return sighting.seen === seen ? sighting : null;
      });

    async function logs(query: { lines?: number; after?: string | null } = {}): Promise<LogEvent[]> {
      const events: LogEvent[] = [];
      const asked = { lines: query.lines ?? 1000, since: null, after: query.after ?? null, follow: false };
      for await (const event of driver.logs(place, asked, new AbortController().signal)) events.push(event);
      return events;
    }

    it('starts, stops and removes, each as often as it is asked', async () => {
      expect(await driver.look(place)).toEqual({ seen: 'absent' });
      await driver.start(specOf(1));
      await driver.start(specOf(1));
      expect(await reach('running')).toMatchObject({ incarnation: 1, startupFailed: null });
      expect(await driver.list()).toEqual([expect.objectContaining({ environmentId: ID, install: 'this' })]);
      await driver.stop(place, { incarnation: 1, graceMs: 100, kill: false });
      await driver.stop(place, { incarnation: 1, graceMs: 100, kill: false });
      expect(await reach('stopped')).toMatchObject({ incarnation: 1, reason: null });
      await driver.destroy(place);
      await driver.destroy(place);
      expect(await reach('absent')).toEqual({ seen: 'absent' });
      expect(await driver.list()).toEqual([]);
    });

    it('acts on the incarnation that it is told and on no newer one', async () => {
      await driver.start(specOf(2));
      await reach('running');
      await driver.stop(place, { incarnation: 1, graceMs: 0, kill: true });
      expect(await driver.look(place)).toMatchObject({ seen: 'running', incarnation: 2 });
      await driver.start(specOf(3));
      expect(
        await until(async () => {
          const sighting = await driver.look(place);
          return sighting.seen === 'running' && sighting.incarnation === 3 ? sighting : null;
        }),
      ).toMatchObject({ incarnation: 3 });
    });

    it('runs startup commands at the first start only, and logs them', async () => {
      await driver.start(specOf(1, ['echo hello', 'exit 3']));
      expect(await reach('running')).toMatchObject({ startupFailed: expect.stringContaining('exit 3') as string });
      await driver.stop(place, { incarnation: 1, graceMs: 0, kill: true });
      await reach('stopped');
      await driver.start(specOf(2, ['echo hello']));
      await reach('running');
      // What a start logs may come a moment after it.
      const lines = await until(async () => {
        const found = (await logs()).flatMap((event) => (event.type === 'log' ? [event] : []));
        return isDeepStrictEqual(await logs({ lines: 1 }), [found.at(-1)]) ? found : null;
      });
      expect(lines.filter(({ source }) => source === 'startup').map(({ message }) => message)).toEqual(['hello']);
      const [first, second] = lines;
      expect(await logs({ after: first?.cursor ?? null, lines: 1 })).toEqual([second]);
      await expect(logs({ after: '999999' })).rejects.toMatchObject({ kind: 'invalid' });
    });

    it('goes on with its log over a restart, for who follows and for who was away', async () => {
      await driver.start(specOf(1, ['echo hello']));
      await reach('running');
      const end = new AbortController();
      const heard: LogEvent[] = [];
      const asked = { lines: 1000, since: null, after: null, follow: true };
      const following = (async () => {
        for await (const event of driver.logs(place, asked, end.signal)) heard.push(event);
      })();
      const heardOf = (type: LogEvent['type']): number => heard.findIndex((event) => event.type === type);
      await until(() => Promise.resolve(heardOf('caught_up') >= 0 || null));
      await driver.stop(place, { incarnation: 1, graceMs: 0, kill: true });
      await reach('stopped');
      await driver.start(specOf(2));
      await reach('running');
      await until(() => Promise.resolve((heardOf('restarted') >= 0 && heard.at(-1)?.type === 'log') || null));
      end.abort();
      await following;
      expect(heard.filter(({ type }) => type !== 'log').map(({ type }) => type)).toEqual(['caught_up', 'restarted']);
      const [first, ...rest] = heard.filter(({ type }) => type !== 'caught_up');
      const missed = await logs({ after: first?.type === 'log' ? first.cursor : '' });
      expect(missed.slice(0, rest.length)).toEqual(rest);
      // Nothing is of tomorrow, however long one listens.
      const soon = new AbortController();
      const tomorrow = new Date(Date.now() + 86_400_000);
      for await (const event of driver.logs(place, { ...asked, since: tomorrow }, soon.signal)) {
        expect(event).toEqual({ type: 'caught_up' });
        soon.abort();
      }
    });

    it('gives a terminal that echoes, has a size and ends with a code', async () => {
      await expect(driver.openTerminal(place, { sessionId: 'none', cols: 80, rows: 24 })).rejects.toMatchObject({ kind: 'gone' });
      await driver.start(specOf(1));
      await reach('running');
      const channel = await driver.openTerminal(place, { sessionId: 'one', cols: 80, rows: 24 });
      const heard = listen(channel);
      expect([channel.start, channel.kept, channel.inputMarks.size]).toEqual([0, 0, 0]);
      await channel.resize({ cols: 100, rows: 30 });
      await channel.write(Buffer.from('stty size\n'));
      await until(() => (heard.text().includes('30 100') ? true : null));
      await channel.write(Buffer.from('exit 5\n'));
      expect(await channel.ended).toEqual({ code: 5, signal: null, reason: 'exited' });
      await expect(channel.write(Buffer.from('x'))).rejects.toMatchObject({ kind: 'gone' });
    });

    it('ends terminals with the environment, and says so', async () => {
      await driver.start(specOf(1));
      await reach('running');
      const channel = await driver.openTerminal(place, { sessionId: 'one', cols: 80, rows: 24 });
      listen(channel);
      await driver.stop(place, { incarnation: 1, graceMs: 0, kill: true });
      expect(await channel.ended).toMatchObject({ reason: 'environment_stopped' });
    });

    it('hands over the rest and the end of a shell that may print no more', async () => {
      await driver.start(specOf(1));
      await reach('running');
      const channel = await driver.openTerminal(place, { sessionId: 'one', cols: 80, rows: 24 });
      const heard = listen(channel, 0);
      await channel.write(Buffer.from('echo last\nexit 3\n'));
      expect(await channel.ended).toMatchObject({ code: 3 });
      expect(heard.text()).toContain('last\r\n');
    });

    it('takes numbered input once, also from the next server, whose output goes on where it was', async () => {
      await driver.start(specOf(1));
      await reach('running');
      const channel = await driver.openTerminal(place, { sessionId: 'one', cols: 80, rows: 24 });
      const heard = listen(channel);
      const line = Buffer.from('echo on""ce\n');
      const mark = { clientId: 'phone', seq: line.length };
      await channel.write(line, mark);
      await channel.write(line, mark);
      await until(() => (heard.text().includes('once') || heard.text().includes('on""ce\r\non""ce') ? true : null));
      if (!driver.durableTerminals) return;
      driver = await harness.reopen();
      const [record] = await driver.terminals(place);
      expect(record).toMatchObject({ sessionId: 'one', exit: null });
      const adopted = await driver.adoptTerminal(place, 'one');
      const again = listen(adopted);
      expect(adopted.inputMarks.get('phone')).toBe(line.length);
      await adopted.write(line, mark);
      const next = Buffer.from('stty size\n');
      await adopted.write(next, { clientId: 'phone', seq: line.length + next.length });
      await until(() => (again.text().includes('24 80') ? true : null));
      expect(again.text().startsWith(heard.text())).toBe(true);
      expect(again.text().match(/^on(?:"")?ce\r?$/gm)).toHaveLength(1);
    });

    it('takes whole what counts less than its bytes, behind what was typed', async () => {
      await driver.start(specOf(1));
      await reach('running');
      const channel = await driver.openTerminal(place, { sessionId: 'one', cols: 80, rows: 24 });
      const heard = listen(channel);
      await channel.write(Buffer.from('echo so and '), { clientId: 'phone', seq: 12 });
      await channel.write(Buffer.from('who""le'), { clientId: 'phone', seq: 13, span: 1 });
      await channel.write(Buffer.from('\n'), { clientId: 'phone', seq: 14 });
      await until(() => (/so and who(?:"")?le\r?\n/.test(heard.text()) ? true : null));
    });

    it('reads usage of what runs, and of nothing else', async () => {
      expect((await driver.usage([place])).size).toBe(0);
      await driver.start(specOf(1));
      await reach('running');
      // A missing reading is allowed, but not for long.
      const usage = await until(async () => (await driver.usage([place])).get(ID) ?? null, FIRST_READING_MS);
      expect(usage.memoryBytes).toBeGreaterThan(0);
      expect(usage.cpuMillis).toBeGreaterThanOrEqual(0);
    });
  });
}
