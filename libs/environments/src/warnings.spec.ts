import { type Principal } from '@devpocket/access';
import { EnvironmentsWorld, principal } from '@testing/environments';
import fc from 'fast-check';
import { type Environment } from './environment';
import { type EnvironmentEvent } from './environment.events';
import { EnvironmentsService } from './environments.service';
import { EventLogRepository } from './event-log.repository';
import { HistoryRepository } from './history.repository';
import { warningDue } from './idle-warning.policy';
import { IdleStopper } from './idle-stopper';
import { LifecycleService } from './lifecycle.service';
import { UsageSampler } from './usage-sampler';

const MINUTE = 60_000;
const MI = 2 ** 20;
const REPLICAS = 2;

describe('what owners are warned of', () => {
  let world: EnvironmentsWorld;
  let user: Principal;
  let id: string;
  beforeAll(async () => (world = await EnvironmentsWorld.open(REPLICAS)));
  beforeEach(async () => {
    await world.clear();
    user = principal();
    ({ id } = await world.create(user, 'one'));
    await world.turns(5, 50);
    expect((await get()).shown.status).toBe('running');
  });
  afterAll(() => world.close());

  const get = (): Promise<Environment> => world.get(EnvironmentsService).get(user, id);
  const told = async (): Promise<EnvironmentEvent[]> =>
    (await world.get(EventLogRepository).after(user.userId, 0, 1000)).map(({ event }) => event);
  const idleWarnings = async (): Promise<number[]> =>
    (await told()).flatMap((event) => (event.type === 'environment.idle_warning' ? [event.minutesLeft] : []));
  const warnings = async (): Promise<string[]> =>
    (await told()).flatMap((event) =>
      event.type === 'resource.warning' ? [`${event.resource} ${event.level} ${event.percent}`] : [],
    );
  const onAll = async (act: (replica: number) => Promise<unknown>): Promise<void> => {
    await Promise.all(Array.from({ length: REPLICAS }, (_, replica) => act(replica)));
  };

  it('comes once, from however many replicas, and anew when the stop was put off', async () => {
    const look = (): Promise<void> => onAll((replica) => world.get(IdleStopper, replica).stopIdle());
    world.clock.push(25 * MINUTE);
    await look();
    await look();
    expect(await idleWarnings()).toEqual([5]);
    await world.get(EnvironmentsService).keepAlive(user, id, 40);
    await look();
    world.clock.push(34 * MINUTE);
    await look();
    expect(await idleWarnings()).toEqual([5]);
    world.clock.push(MINUTE);
    await look();
    world.clock.push(4 * MINUTE);
    await look();
    await look();
    expect(await idleWarnings()).toEqual([5, 5, 1]);
    const stopAt = (await get()).keepUntil;
    expect((await told()).at(-1)).toMatchObject({ stopAt, minutesLeft: 1, statusVersion: (await get()).statusVersion });
    world.clock.push(MINUTE);
    await look();
    await world.turns(5, 50);
    expect((await get()).shown).toMatchObject({ status: 'stopped', reason: 'idle' });
  });

  it('is not repeated by a server that has just begun', async () => {
    world.clock.push(26 * MINUTE);
    await world.get(IdleStopper, 0).stopIdle();
    // The other one knows nothing of it but what is in the log.
    await world.get(IdleStopper, 1).stopIdle();
    expect(await idleWarnings()).toEqual([5]);
  });

  it('says nothing of moments that had passed before the stop was set', async () => {
    await world.get(EnvironmentsService).change(user, id, { autoStopMinutes: 3 });
    await world.get(IdleStopper).stopIdle();
    expect(await idleWarnings()).toEqual([]);
    world.clock.push(2 * MINUTE);
    await world.get(IdleStopper).stopIdle();
    expect(await idleWarnings()).toEqual([1]);
  });

  it('is due at 5 and at 1 minute, for every look and stop', () => {
    const minutes = fc.integer({ min: 0, max: 120 });
    fc.assert(
      fc.property(minutes, minutes, minutes, fc.boolean(), (active, length, looked, longest) => {
        const at = new Date((active + length) * MINUTE);
        const environment = { startedAt: new Date(0), lastActivityAt: new Date(active * MINUTE) };
        const stop = { at, reason: longest ? 'max_lifetime' : 'idle' } as const;
        const now = new Date(Math.max(active, looked) * MINUTE);
        const due = warningDue(environment, stop, now);
        const left = (at.getTime() - now.getTime()) / MINUTE;
        const since = longest ? active + length : length;
        const expected = left <= 1 && since > 1 ? 1 : left <= 5 && since > 5 ? 5 : null;
        expect(due).toBe(expected);
      }),
    );
  });

  it('tells of resources that come near their limit, once, whichever replicas read', async () => {
    const { memoryBytes, storageBytes } = (await get()).limits;
    const sample = async (): Promise<void> => {
      world.clock.push(MINUTE);
      await onAll((replica) => world.get(UsageSampler, replica).sample());
    };
    world.driver.memoryBytes = 0.9 * memoryBytes;
    world.driver.storageBytes = 0.96 * storageBytes;
    world.driver.cpuMillis = 500;
    await sample();
    expect(await warnings()).toEqual(['memory warning 90', 'storage critical 96']);
    await sample();
    await sample();
    expect(await warnings()).toEqual(['memory warning 90', 'storage critical 96', 'cpu critical 100']);
    const versions = new Set(
      (await told()).filter(({ type }) => type === 'resource.warning').map(({ statusVersion }) => statusVersion),
    );
    expect([...versions]).toEqual([(await get()).statusVersion]);
    // One sample a minute, of all replicas together.
    expect(await world.get(HistoryRepository).samplesSince(id, new Date(0))).toHaveLength(3);
    world.driver.memoryBytes = MI;
    world.driver.cpuMillis = 0;
    await sample();
    expect((await warnings()).slice(3)).toEqual(['cpu cleared 0', 'memory cleared 0.1']);
    expect((await get()).usage).toEqual({ cpu: 0, memory: 0.1, storage: 96 });
  });

  it('tells of a full volume while it runs, and when there is room again', async () => {
    const { storageBytes } = (await get()).limits;
    const shown = async (percent: number): Promise<unknown> => {
      world.driver.storageBytes = (percent * storageBytes) / 100;
      world.clock.push(MINUTE);
      await world.get(UsageSampler).sample();
      await world.turns(2, 4_000);
      const { status, reason } = (await get()).shown;
      return [status, reason];
    };
    expect(await shown(99.5)).toEqual(['running', 'volume_full']);
    expect((await told()).at(-1)).toMatchObject({ type: 'environment.status', status: 'running', reason: 'volume_full' });
    expect(await shown(96)).toEqual(['running', 'volume_full']);
    expect(await shown(50)).toEqual(['running', null]);
    expect((await told()).at(-1)).toMatchObject({ type: 'environment.status', status: 'running', reason: null });
  });

  it.each(['out_of_memory', 'volume_full'] as const)('tells of an end by %s', async (reason) => {
    world.driver.lose(id, reason);
    await world.turns(3, 4_000);
    expect((await told()).at(-1)).toMatchObject({ type: 'environment.status', status: 'error', reason });
  });

  it('tells how the pull of an image goes on, never backwards', async () => {
    await world.get(LifecycleService).want(user, id, 'stop');
    await world.turns(3, 50);
    for (const pulls of [
      [10, 60, 30, 100],
      [50, 0, 100],
    ]) {
      world.driver.pulls = pulls;
      world.driver.phases = 3;
      const before = (await told()).length;
      await world.get(LifecycleService).want(user, id, 'start');
      await world.turns(14, 1_000);
      const progress = (await told()).slice(before).flatMap((event) => (event.type === 'environment.progress' ? [event] : []));
      const percents = progress.map((event) => event.progress);
      expect(percents).toEqual([...percents].sort((a, b) => a - b));
      expect(new Set(progress.map(({ phase }) => phase))).toEqual(
        new Set(['queued', 'pulling_image', 'creating_volume', 'starting_container', 'running_startup', 'ready']),
      );
      expect(progress.filter(({ phase }) => phase === 'pulling_image').length).toBe(new Set(pulls).size - 1);
      expect(percents.at(-1)).toBe(100);
      await world.get(LifecycleService).want(user, id, 'stop');
      await world.turns(3, 50);
    }
  });
});
