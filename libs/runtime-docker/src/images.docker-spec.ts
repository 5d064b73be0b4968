import { type Sighting } from '@devpocket/runtime';
import { setTimeout as delay } from 'node:timers/promises';
import { reach, TEST_IMAGE, TestEngine, TestRegistry } from '../testing';
import { type DockerDriver } from './docker.driver';

const ID = '0123456789abcdef0000a100';
const MEGABYTE = 2 ** 20;
const LAYERS = [4 * MEGABYTE, 6 * MEGABYTE];

describe('images that are fetched', () => {
  let engine: TestEngine;
  let registry: TestRegistry;
  let driver: DockerDriver;
  beforeEach(async () => {
    engine = await TestEngine.open('images');
    await engine.clear();
    registry = await TestRegistry.open(engine.engine, TEST_IMAGE, LAYERS);
    driver = await engine.driver();
  });
  afterEach(async () => {
    await engine.close();
    await engine.engine.delete(`/images/${registry.image()}`, { query: { force: true } });
    await registry.close();
  });
  const idOf = (last: number): string => ID.slice(0, -1) + String(last);
  const isRunning = ({ seen }: Sighting): boolean => seen === 'running';

  it('tell how far they are, never less, and are fetched once for all who wait', async () => {
    registry.manner.bytesPerSecond = 3 * MEGABYTE;
    const specs = [0, 1, 2].map((last) => engine.spec(idOf(last), 1, { image: registry.image() }));
    await Promise.all(specs.map((spec) => driver.start(spec)));
    const seen: Sighting[] = [];
    const [first] = specs;
    while (first && !isRunning(seen.at(-1) ?? { seen: 'absent' })) {
      seen.push(await driver.look(first));
      await delay(20);
    }
    const pulling = seen.flatMap((one) => (one.seen === 'starting' && one.phase === 'pulling_image' ? [one.progress] : []));
    expect(new Set(pulling).size).toBeGreaterThan(5);
    const progress = seen.flatMap((one) => (one.seen === 'starting' ? [one.progress] : []));
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    await Promise.all(specs.map((spec) => reach(driver, spec, 'running')));
    expect(registry.asked.length).toBe(new Set(registry.asked).size);
    const before = registry.asked.length;
    await driver.start(engine.spec(idOf(3), 1, { image: registry.image() }));
    await reach(driver, engine.place(idOf(3)), 'running');
    expect(registry.asked.length).toBe(before);
  });

  it.each([
    [404, { reason: 'image_not_found', retryable: false }],
    [401, { reason: 'image_auth_failed', retryable: false }],
    [503, { reason: 'image_pull_failed', retryable: true }],
  ])('of a registry that answers %d say why there are none', async (status, failure) => {
    registry.manner.status = status;
    const spec = engine.spec(ID, 1, { image: registry.image('nope') });
    await driver.start(spec);
    expect(await reach(driver, spec, 'failed')).toMatchObject({ incarnation: 1, ...failure });
    await driver.stop(spec, { incarnation: 1, graceMs: 0, kill: true });
    expect(await driver.look(spec)).toMatchObject({ seen: 'stopped' });
    await driver.destroy(spec);
    expect(await driver.look(spec)).toEqual({ seen: 'absent' });
  });

  it('that are no names, or that come damaged, say so', async () => {
    const named = engine.spec(idOf(1), 1, { image: 'No Name' });
    await driver.start(named);
    expect(await reach(driver, named, 'failed')).toMatchObject({ reason: 'image_not_found', retryable: false });
    registry.manner.corrupt = true;
    const damaged = engine.spec(idOf(2), 1, { image: registry.image() });
    await driver.start(damaged);
    expect(await reach(driver, damaged, 'failed')).toMatchObject({ reason: 'image_pull_failed', retryable: true });
  });

  it('that are cut off go on, by the engine itself, and for the next server with what there is', async () => {
    registry.manner.bytesPerSecond = 2 * MEGABYTE;
    registry.manner.cuts = 1;
    const spec = engine.spec(ID, 1, { image: registry.image() });
    await driver.start(spec);
    while (registry.given.length < 2) await delay(20);
    await driver.close({ keepTerminals: true });
    const next = await engine.driver();
    expect(await next.look(spec)).toEqual({ seen: 'stopped', incarnation: 0, reason: null, message: null });
    await next.start(spec);
    await reach(next, spec, 'running', { within: 60_000 });
    expect(registry.manner.cuts).toBe(0);
  });

  it('are given up with the start that wants them', async () => {
    registry.manner.bytesPerSecond = MEGABYTE / 4;
    const spec = engine.spec(ID, 1, { image: registry.image() });
    await driver.start(spec);
    while (registry.asked.length < 3) await delay(20);
    expect(await driver.look(spec)).toMatchObject({ seen: 'starting', phase: 'pulling_image' });
    await driver.stop(spec, { incarnation: 1, graceMs: 0, kill: true });
    expect(await driver.look(spec)).toMatchObject({ seen: 'stopped' });
    expect((await engine.left()).filter((name) => !name.startsWith('volume'))).toEqual([]);
  });
});
