import { EnvironmentsWorld, principal } from '@testing/environments';
import { EnvironmentReconciler } from './environment.reconciler';
import { EnvironmentsService } from './environments.service';

describe('a runtime that tells of changes', () => {
  it('is looked at when it does, and seldom otherwise', async () => {
    const world = await EnvironmentsWorld.open();
    let tell: (environmentId: string) => void = () => undefined;
    let looks = 0;
    const { driver, clock } = world;
    const look = driver.look.bind(driver);
    driver.onChange = (listener) => {
      tell = listener;
      return () => undefined;
    };
    driver.look = (place) => {
      looks += 1;
      return look(place);
    };
    driver.phases = 0;
    const reconciler = world.get(EnvironmentReconciler);
    await reconciler.onApplicationBootstrap();
    const user = principal();
    const { id } = await world.create(user, 'one');
    /** Until whoever was woken has nothing more to ask the database. */
    const settled = async (): Promise<void> => {
      for (let round = 0; round < 20; round += 1) await world.database.connection.collection('environments').findOne({});
    };
    const passes = async (ms: number, stepMs = 50): Promise<void> => {
      for (let passed = 0; passed < ms; passed += stepMs) {
        clock.push(stepMs);
        await settled();
      }
    };
    const status = async (): Promise<string> => (await world.get(EnvironmentsService).get(user, id)).shown.status;
    await passes(300);
    expect(driver.acts).toEqual([`start ${id} 1`]);
    await passes(1_000);
    expect([looks, await status()]).toEqual([1, 'creating']);
    for (let change = 0; change < 5; change += 1) tell(id);
    await passes(100);
    expect([looks, await status()]).toEqual([2, 'running']);
    await reconciler.onModuleDestroy();
    await world.close();
  });
});
