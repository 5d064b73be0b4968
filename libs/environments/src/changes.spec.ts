import { DomainError } from '@devpocket/kernel';
import { EnvironmentsWorld, principal } from '@testing/environments';
import { type Creation, EnvironmentsService } from './environments.service';
import { IdleStopper } from './idle-stopper';
import { LifecycleService } from './lifecycle.service';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const CREATION: Creation = {
  name: 'one',
  template: 'ubuntu',
  description: null,
  image: null,
  resources: {},
  environmentVariables: {},
  region: null,
  autoStopMinutes: null,
};

describe('what requests change', () => {
  let world: EnvironmentsWorld;
  beforeAll(async () => (world = await EnvironmentsWorld.open()));
  beforeEach(() => world.clear());
  afterAll(() => world.close());

  const service = (): EnvironmentsService => world.get(EnvironmentsService);
  const refusal = async (call: Promise<unknown>): Promise<DomainError> => {
    const error: unknown = await call.catch((thrown: unknown) => thrown);
    if (error instanceof DomainError) return error;
    throw new Error(`Not refused: ${JSON.stringify(error)}`);
  };

  it('keeps both of two changes of different resources, however they meet', async () => {
    const user = principal();
    const { id } = await world.create(user, 'one');
    for (let turn = 0; turn < 10; turn += 1) {
      const [cpu, memory] = [`${100 + turn}m`, `${100 + turn}Mi`];
      await Promise.all([
        service().change(user, id, { resources: { cpu } }),
        service().change(user, id, { resources: { memory } }),
      ]);
      expect((await service().get(user, id)).resources).toMatchObject({ cpu, memory });
    }
  });

  it('tells what is used when it is at a limit, also when that is more than the plan of now allows', async () => {
    const pro = principal('pro');
    for (const name of ['a', 'b', 'c']) await world.create(pro, name);
    const free = principal('free', pro.userId);
    const created = await refusal(world.create(free, 'd'));
    expect(created.extra.limit).toEqual({ name: 'active_environments', allowed: 1, used: 3, plan: 'free' });
    await world.turns(5, 50);
    const { items } = await service().list(pro, {}, { limit: 1, after: null });
    const id = items[0]?.id ?? '';
    await world.get(LifecycleService).want(free, id, 'stop');
    await world.turns(5, 50);
    const started = await refusal(world.get(LifecycleService).want(free, id, 'start'));
    expect(started.extra.limit).toEqual({ name: 'active_environments', allowed: 1, used: 2, plan: 'free' });
  });

  it.each([0, 480])('stops one whose owner once asked for %i minutes by the plan of now', async (autoStopMinutes) => {
    const before = principal(autoStopMinutes === 0 ? 'admin' : 'pro');
    const { id } = await service().create(before, { ...CREATION, autoStopMinutes }, null);
    await world.turns(5, 50);
    const free = principal('free', before.userId);
    await world.get(LifecycleService).want(free, id, 'stop');
    await world.turns(5, 50);
    await world.get(LifecycleService).want(free, id, 'start');
    await world.turns(5, 50);
    world.clock.push(HOUR);
    await world.get(IdleStopper).stopIdle();
    await world.turns(5, 50);
    expect((await service().get(free, id)).shown).toMatchObject({ status: 'stopped', reason: 'idle' });
  });

  it('goes on after a downgrade until it stops, and starts again within the plan of now, its files with it', async () => {
    const pro = principal('pro');
    const resources = { cpu: '2', memory: '1Gi', storage: '20Gi' };
    const { id } = await service().create(pro, { ...CREATION, resources }, null);
    await world.turns(5, 50);
    const free = principal('free', pro.userId);
    expect((await service().get(free, id)).shown.status).toBe('running');
    expect(await refusal(world.get(LifecycleService).want(free, id, 'restart'))).toMatchObject({ code: 'plan_limit_exceeded' });
    await world.get(LifecycleService).want(free, id, 'stop');
    await world.turns(5, 50);
    const refused = await refusal(world.get(LifecycleService).want(free, id, 'start'));
    expect(refused).toMatchObject({ code: 'plan_limit_exceeded', extra: { limit: { name: 'cpu_millis' } } });
    await service().change(free, id, { resources: { cpu: '500m' } });
    await world.get(LifecycleService).want(free, id, 'start');
    await world.turns(5, 50);
    expect((await service().get(free, id)).shown.status).toBe('running');
  });

  it('takes the plan of now for one that runs when its time is changed', async () => {
    const free = principal();
    const { id } = await world.create(free, 'one');
    await world.turns(5, 50);
    const admin = principal('admin', free.userId);
    await service().change(admin, id, { autoStopMinutes: 0 });
    world.clock.push(HOUR);
    await world.get(IdleStopper).stopIdle();
    expect((await service().get(free, id)).wanted.desired).toBe('running');
  });

  it('gives the same environment under one key for a day, and another one after it', async () => {
    const user = principal('starter');
    const first = await service().create(user, CREATION, 'scope');
    world.clock.push(DAY - 1_000);
    expect((await service().create(user, CREATION, 'scope')).id).toBe(first.id);
    world.clock.push(1_000);
    const second = await service().create(user, { ...CREATION, name: 'two' }, 'scope');
    expect([second.name, second.id === first.id]).toEqual(['two', false]);
    expect((await service().create(user, { ...CREATION, name: 'two' }, 'scope')).id).toBe(second.id);
  });

  it.each([
    ['description', { description: 'a\ud800' }],
    ['environment_variables.A', { environmentVariables: { A: 'a\udc00' } }],
  ])('refuses a text that cannot be kept as it is: %s', async (field, part) => {
    const user = principal();
    const created = await refusal(service().create(user, { ...CREATION, ...part }, null));
    expect(created.errors).toMatchObject([{ field }]);
    const { id } = await world.create(user, 'one');
    expect((await refusal(service().change(user, id, part))).errors).toMatchObject([{ field }]);
  });
});
