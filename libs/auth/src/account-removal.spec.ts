import { RemovalRegistry, UsersService } from '@devpocket/users';
import { AuthApp, PASSWORD, type SignedUp } from '@testing/auth';
import { ManualClock } from '@testing/kernel';
import { AccountRemover, REQUEST_MS } from './account-remover';

describe('DELETE /users/me', () => {
  const clock = new ManualClock(Date.parse('2026-11-26T12:00:00Z'));
  /** What somebody else holds of accounts. */
  const held = new Set<string>();
  let auth: AuthApp;
  let number = 0;
  beforeAll(async () => {
    auth = await AuthApp.start({ clock });
    auth.app.get(RemovalRegistry, { strict: false }).join({ name: 'things', removeOf: (id) => Promise.resolve(!held.has(id)) });
  });
  afterAll(() => auth.close());

  const signUp = (): Promise<SignedUp> => auth.signUp(`leaver${(number += 1)}`);
  const remove = (user: SignedUp, password = PASSWORD) =>
    auth.call('DELETE', '/users/me', { token: user.accessToken, body: { password } });
  const turn = (): Promise<void> => auth.app.get(AccountRemover, { strict: false }).turn();
  const registered = async ({ username }: SignedUp): Promise<number> => (await auth.register(username)).status;
  const traces = async ({ id }: SignedUp): Promise<Record<string, number>> => {
    const found: Record<string, number> = {};
    for (const { name } of await auth.database.connection.listCollections()) {
      if (name === 'audit_entries') continue;
      const all = await auth.database.connection.collection(name).find({}).toArray();
      const count = all.filter((one) => JSON.stringify(one).includes(id)).length;
      if (count > 0) found[name] = count;
    }
    return found;
  };

  it('shuts the account out at once, waits for what others hold of it, and leaves nothing', async () => {
    const user = await signUp();
    const key = await auth.call('POST', '/auth/api-keys', {
      token: user.accessToken,
      body: { name: 'ci', scopes: ['env:read'] },
    });
    await auth.call('POST', '/auth/forgot-password', { body: { email: `${user.username}@example.com` } });
    held.add(user.id);
    expect(await remove(user)).toMatchObject({ status: 202, body: { message: 'Account deletion started' } });
    expect((await auth.call('GET', '/auth/me', { token: user.accessToken })).status).toBe(401);
    expect((await auth.call('GET', '/auth/me', { token: String(key.body.key) })).status).toBe(401);
    expect((await auth.refresh(user.refreshToken)).status).toBe(401);
    expect((await auth.login(user.username)).status).toBe(401);
    await expect(auth.app.get(UsersService).changeAccount(user.id, { isActive: true })).rejects.toMatchObject({
      code: 'not_found',
    });

    clock.push(REQUEST_MS);
    await turn();
    expect(await registered(user)).toBe(400);
    held.delete(user.id);
    await turn();
    expect(await traces(user)).toEqual({});
    const audit = await auth.database.connection
      .collection('audit_entries')
      .find({ target: `user:${user.id}` })
      .toArray();
    expect(audit.map(({ action }) => String(action))).toEqual(expect.arrayContaining(['user.removal_begun', 'user.removed']));
    expect(await registered(user)).toBe(201);
  });

  it('goes on with others when one cannot be removed', async () => {
    const [stuck, user] = [await signUp(), await signUp()];
    const registry = auth.app.get(RemovalRegistry, { strict: false });
    registry.join({
      name: 'broken',
      removeOf: (id) => (id === stuck.id ? Promise.reject(new Error('no')) : Promise.resolve(true)),
    });
    for (const one of [stuck, user]) expect((await remove(one)).status).toBe(202);
    clock.push(REQUEST_MS);
    await turn();
    expect(await traces(user)).toEqual({});
    expect(await traces(stuck)).not.toEqual({});
  });

  it('is finished by another server when the one that began it is gone', async () => {
    const user = await signUp();
    expect((await remove(user)).status).toBe(202);
    clock.push(REQUEST_MS);
    const next = await AuthApp.start({ clock, beside: auth });
    await next.app.get(AccountRemover, { strict: false }).turn();
    await next.close();
    expect(await traces(user)).toEqual({});
    await turn();
    const removed = { target: `user:${user.id}`, action: 'user.removed' };
    expect(await auth.database.connection.collection('audit_entries').countDocuments(removed)).toBe(1);
  });

  it('outlasts requests that were let in before', async () => {
    const user = await signUp();
    expect((await remove(user)).status).toBe(202);
    clock.push(REQUEST_MS - 1);
    await turn();
    expect(Object.keys(await traces(user))).toContain('users');
    clock.push(1);
    await turn();
    expect(await traces(user)).toEqual({});
  });

  it('needs the password, of which wrong ones count', async () => {
    const user = await signUp();
    for (let count = 0; count < 5; count += 1)
      expect(await remove(user, 'Wrong-1-password')).toMatchObject({ status: 403, body: { code: 'wrong_password' } });
    expect(await remove(user)).toMatchObject({ status: 403, body: { code: 'account_locked' } });
    expect((await auth.call('DELETE', '/users/me', { token: user.accessToken, body: {} })).status).toBe(422);
    expect((await auth.call('GET', '/auth/me', { token: user.accessToken })).status).toBe(200);
  });

  it('is begun once by any number of calls', async () => {
    const user = await signUp();
    const statuses = (await Promise.all([remove(user), remove(user), remove(user)])).map(({ status }) => status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(1);
  });
});
