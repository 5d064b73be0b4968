import { EnvironmentsWorld, principal } from '@testing/environments';
import { ActivityRecorder } from './activity-recorder';
import { type Environment } from './environment';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentsService } from './environments.service';
import { HistoryRepository } from './history.repository';
import { IdleStopper } from './idle-stopper';
import { UsageSampler } from './usage-sampler';

const MINUTE = 60_000;

describe('the upkeep of what runs', () => {
  let world: EnvironmentsWorld;
  let user = principal();
  beforeAll(async () => (world = await EnvironmentsWorld.open()));
  beforeEach(async () => {
    await world.clear();
    user = principal();
  });
  afterAll(() => world.close());

  const service = (): EnvironmentsService => world.get(EnvironmentsService);
  const running = async (plan: 'free' | 'admin' = 'free', autoStopMinutes: number | null = null): Promise<string> => {
    user = principal(plan);
    const { id } = await world.create(user, 'one');
    if (autoStopMinutes !== null) await service().change(user, id, { autoStopMinutes });
    for (let turn = 0; turn < 5; turn += 1) {
      await world.turn();
      world.clock.push(50);
    }
    expect((await get(id)).shown.status).toBe('running');
    return id;
  };
  const get = (id: string): Promise<Environment> => service().get(user, id);
  const idle = async (id: string): Promise<string> => {
    await world.get(IdleStopper).stopIdle();
    await world.turns(3, 50);
    const { status, reason } = (await get(id)).shown;
    return reason === null ? status : `${status} ${reason}`;
  };
  /** Minutes that were warned of while `call` ran. */
  const warnings = async (call: () => Promise<unknown>): Promise<number[]> => {
    const heard: number[] = [];
    const end = world.get(EnvironmentEvents).subscribe((event) => {
      if (event.type === 'environment.idle_warning') heard.push(event.minutesLeft);
    });
    await call();
    end();
    return heard;
  };

  it('stops what has been idle for as long as the plan allows, and warns before', async () => {
    const id = await running();
    const heard = await warnings(async () => {
      for (const [minutes, expected] of [
        [24, 'running'],
        [1, 'running'],
        [3, 'running'],
        [1, 'running'],
        [0.9, 'running'],
        [0.1, 'stopped idle'],
      ] as const) {
        world.clock.push(minutes * MINUTE);
        expect(await idle(id)).toBe(expected);
      }
    });
    expect(heard).toEqual([5, 1]);
  });

  it('counts from the last activity', async () => {
    const id = await running();
    const activity = world.get(ActivityRecorder);
    world.clock.push(20 * MINUTE);
    activity.touch(id);
    world.clock.push(20 * MINUTE);
    expect(await idle(id)).toBe('running');
    world.clock.push(10 * MINUTE);
    expect(await idle(id)).toBe('stopped idle');
  });

  it('keeps alive what was asked to be kept, but no longer than the longest run', async () => {
    const id = await running();
    await service().keepAlive(user, id, 240);
    world.clock.push(239 * MINUTE);
    expect(await idle(id)).toBe('running');
    for (const minutes of [240, 240]) {
      await service().keepAlive(user, id, minutes);
      world.clock.push(235 * MINUTE);
      if ((await idle(id)) !== 'running') break;
    }
    await service().keepAlive(user, id, 240);
    world.clock.push(20 * MINUTE);
    expect(await idle(id)).toBe('stopped max_lifetime');
  });

  it('never stops what the owner, as an administrator, lets run for ever', async () => {
    const id = await running('admin');
    world.clock.push(365 * 24 * 60 * MINUTE);
    expect(await idle(id)).toBe('running');
  });

  it('follows the owner’s shorter time', async () => {
    const id = await running('free', 10);
    world.clock.push(10 * MINUTE);
    expect(await idle(id)).toBe('stopped idle');
  });

  it('notes when it was accessed, to the second', async () => {
    const id = await running();
    const began = world.clock.millis();
    const noted: unknown[] = [];
    for (const ms of [0, 999, 1, 500, 500]) {
      world.clock.push(ms);
      await service().locate(user, id);
      noted.push(((await get(id)).lastAccessed?.getTime() ?? 0) - began);
    }
    expect(noted).toEqual([0, 0, 1_000, 1_000, 2_000]);
  });

  it('samples what runs in percent of its limits, and takes work for activity', async () => {
    const id = await running();
    const { lastActivityAt } = await get(id);
    world.clock.push(MINUTE);
    await world.get(UsageSampler).sample();
    await world.get(ActivityRecorder).flush();
    expect((await get(id)).lastActivityAt).toEqual(lastActivityAt);
    expect((await get(id)).usage).toEqual({ cpu: 2, memory: 0.93, storage: 0 });
    world.driver.cpuMillis = 400;
    world.driver.unreachable = true;
    world.clock.push(MINUTE);
    await world.get(UsageSampler).sample();
    world.driver.unreachable = false;
    await world.get(UsageSampler).sample();
    await world.get(ActivityRecorder).flush();
    expect((await get(id)).lastActivityAt).toEqual(world.clock.now());
    const samples = await world.get(HistoryRepository).samplesSince(id, new Date(0));
    expect(samples.map(({ cpu, timestamp }) => [cpu, timestamp.getTime() - world.clock.millis()])).toEqual([
      [2, -MINUTE],
      [80, 0],
    ]);
  });
});
