import { testSettings } from '@testing/config';
import { TEST_IMAGE, TestDaemon, testEngine, TestEngine } from '@testing/runtime-docker';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, TestApi, type TestUser } from '../testing';
import { heardIn, hears, LifeRig, typeIn } from '../testing/whole-life';
import { runtimesOf } from './runtime-drivers';

const OUTAGE_MS = 30_000;
const SETTLED_MS = 60_000;

describe('a server whose container engine goes away and comes back', () => {
  const daemon = new TestDaemon();
  const { drivers, inspector } = runtimesOf(
    testSettings({ DATA_DIR: 'unused', RUNTIME: 'docker', DOCKER_HOST: daemon.settings.host }),
  );
  const api = new TestApi(
    (_dataDir, needs) => drivers(needs),
    { ALLOW_CUSTOM_IMAGES: 'true', ALLOWED_IMAGE_PATTERNS: TEST_IMAGE },
    inspector,
  );
  let owner: TestUser;
  const life = new LifeRig(
    api,
    () => owner,
    TEST_IMAGE,
    () => Promise.resolve([]),
  );
  const look = (id: string): Promise<Record<string, unknown>> => life.ask('GET', `/environments/${id}`);
  async function until(id: string, wanted: Readonly<Record<string, unknown>>): Promise<void> {
    let seen: Record<string, unknown> = {};
    const reached = async (): Promise<boolean> => {
      seen = await look(id);
      return Object.entries(wanted).every(([name, value]) => seen[name] === value);
    };
    const saw = (): string => `saw ${JSON.stringify(seen)}`;
    await eventually(reached, SETTLED_MS).catch((error: unknown) => Promise.reject(new Error(saw(), { cause: error })));
  }

  beforeAll(async () => {
    await daemon.start(true);
    await daemon.load((await TestEngine.open('outage')).engine, TEST_IMAGE);
    await api.start();
    owner = await api.administrator('operator');
  });
  afterAll(async () => {
    await api.close();
    await daemon.close();
  });

  it('changes no status meanwhile, and then everything goes on where it was, without a restart', async () => {
    expect(testEngine().host).not.toBe(daemon.settings.host);
    const [running, stopped, leaving] = await Promise.all([
      life.create('running'),
      life.create('stopped'),
      life.create('leaving'),
    ]);
    for (const id of [running, stopped, leaving]) await life.reach(id, 'running');
    await life.act(stopped, 'stop', 'stopped');
    const shell = await life.shellOf(running);
    typeIn(shell, 'for i in $(seq 1 400); do echo "=$i="; sleep 0.1; done; echo =all""=$$=\n');
    await hears(shell, '=3=\r\n');

    await daemon.stop('SIGTERM');
    const gone = performance.now();
    await until(running, { status: 'running', status_reason: 'runtime_unreachable' });
    await life.ask('POST', `/environments/${leaving}/stop`);
    await life.ask('POST', `/environments/${stopped}/start`);
    const heard = heardIn(shell);
    const statuses = new Set<string>();
    while (performance.now() - gone < OUTAGE_MS) {
      for (const id of [running, stopped, leaving]) statuses.add(`${id} ${String((await look(id)).status)}`);
      await delay(250);
    }
    // What was asked for is under way, what was not has not changed.
    expect([...statuses].sort()).toEqual([`${running} running`, `${stopped} starting`, `${leaving} stopping`].sort());
    expect(shell.messages.filter(({ type }) => type === 'exit')).toEqual([]);

    await daemon.start(true);
    await Promise.all([
      until(running, { status: 'running', status_reason: null }),
      until(stopped, { status: 'running', status_reason: null }),
      until(leaving, { status: 'stopped' }),
    ]);
    await eventually(() => Promise.resolve(/=all=\d+=\r\n/.test(heardIn(shell))), SETTLED_MS);
    // Every line once, those of the time between, too: the shell had gone on.
    const numbers = [...heardIn(shell).matchAll(/^=(\d+)=\r$/gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 400 }, (_, at) => at + 1));
    expect(heardIn(shell).startsWith(heard)).toBe(true);
    const fresh = await life.create('fresh');
    await life.reach(fresh, 'running');
  });

  it('says what ended with an engine that takes its containers along, and starts it again with its files', async () => {
    const id = await life.create('kept');
    await life.reach(id, 'running');
    const shell = await life.shellOf(id);
    typeIn(shell, 'echo safe >kept; echo do""ne\n');
    await hears(shell, 'done\r\n');
    // What it finds alive as it comes up, it ends.
    await daemon.stop('SIGTERM');
    await daemon.start(false);
    expect(await life.reach(id, 'error')).toMatchObject({ retryable: true });
    expect(await shell.over).toBe(4410);
    await life.act(id, 'start', 'running');
    const again = await life.shellOf(id);
    typeIn(again, "sed 's/^/=/' kept\n");
    await hears(again, '=safe\r\n');
    // As it goes, it asks them to end; killed, it cannot, and ends them when it comes back.
    await daemon.stop('SIGTERM');
    await daemon.start(false);
    expect(await life.reach(id, 'error')).toMatchObject({ status_reason: 'evicted', retryable: true });
    await life.act(id, 'start', 'running');
    await daemon.stop('SIGKILL');
    await daemon.start(false);
    expect(await life.reach(id, 'error')).toMatchObject({ retryable: true });
    await life.act(id, 'start', 'running');
  });
});
