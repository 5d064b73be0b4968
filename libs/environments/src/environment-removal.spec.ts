import { EnvironmentsWorld, principal } from '@testing/environments';
import { EnvironmentRemoval } from './environment-removal';

describe('environments of an account that goes', () => {
  it('go first, whatever they are doing, and nobody else’s do', async () => {
    const world = await EnvironmentsWorld.open();
    const [user, other] = [principal('pro'), principal()];
    const running = await world.create(user, 'running');
    const kept = await world.create(other, 'kept');
    await world.turns(4, 50);
    const creating = await world.create(user, 'creating');
    const removal = world.get(EnvironmentRemoval);
    expect(await removal.removeOf(user.userId)).toBe(false);
    await world.turns(8);
    expect(await removal.removeOf(user.userId)).toBe(true);
    const left = await world.database.connection.collection('environments').find({}).toArray();
    expect(left.map(({ _id }) => String(_id))).toEqual([kept.id]);
    for (const { id } of [running, creating]) {
      const place = { environmentId: id, userId: user.userId, clusterId: null };
      expect((await world.driver.look(place)).seen).toBe('absent');
    }
    // One that was let in before the account was shut out.
    await world.create(user, 'late');
    expect(await removal.removeOf(user.userId)).toBe(false);
    await world.turns(8);
    expect(await removal.removeOf(user.userId)).toBe(true);
    await world.close();
  });
});
