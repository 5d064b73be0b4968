import { Authenticator, type Revocation } from '@devpocket/access';
import { UsersService } from '@devpocket/users';
import { AuthApp, type SignedUp } from '@testing/auth';
import { ManualClock } from '@testing/kernel';
import fc from 'fast-check';
import { hashOf, isKeyOf, newApiKey, prefixOf } from './api-key.policy';
import { MOST_KEYS } from './api-keys.service';

describe('the form of an API key', () => {
  it('is told from all else', () => {
    const { key, prefix } = newApiKey();
    expect(key).toMatch(/^dp_[A-Za-z0-9]{8}_[A-Za-z0-9]{32}$/);
    expect([prefixOf(key), isKeyOf(key, hashOf(key)), isKeyOf(`${key}x`, hashOf(key))]).toEqual([prefix, true, false]);
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(prefixOf(text)).toBeNull();
        expect(prefixOf(`${key}${text}`)).toBe(text === '' ? prefix : null);
      }),
    );
  });
});

describe('API keys', () => {
  const clock = new ManualClock(Date.parse('2026-11-26T12:00:00Z'));
  let auth: AuthApp;
  let number = 0;
  beforeAll(async () => {
    auth = await AuthApp.start({ clock });
  });
  afterAll(() => auth.close());

  const signUp = (): Promise<SignedUp> => auth.signUp(`keeper${(number += 1)}`);
  const create = (user: SignedUp, body: object = {}) =>
    auth.call('POST', '/auth/api-keys', { token: user.accessToken, body: { name: 'ci', scopes: ['env:read'], ...body } });
  const keyOf = async (user: SignedUp, body: object = {}): Promise<{ readonly id: string; readonly key: string }> => {
    const answer = await create(user, body);
    expect(answer.status).toBe(201);
    return { id: String(answer.body.id), key: String(answer.body.key) };
  };
  const list = async (user: SignedUp): Promise<readonly Record<string, unknown>[]> =>
    (await auth.call<Record<string, unknown>[]>('GET', '/auth/api-keys', { token: user.accessToken })).body;
  const get = (token: string, path: string) => auth.call('GET', path, { token });

  it('are shown once, kept as a hash, and listed without it', async () => {
    const user = await signUp();
    const answer = await create(user, { name: 'phone', scopes: ['env:read', 'terminal'], expires_at: '2027-01-31T12:00:00Z' });
    const key = String(answer.body.key);
    expect(answer).toMatchObject({ status: 201, body: { name: 'phone', prefix: key.slice(0, 11), last_used_at: null } });
    const stored = await auth.database.connection.collection('api_keys').find({}).toArray();
    expect(JSON.stringify(stored)).not.toContain(key.slice(12));
    expect(stored).toMatchObject([{ hash: hashOf(key) }]);
    const audit = await auth.database.connection.collection('audit_entries').find({ action: 'api_key.created' }).toArray();
    expect(audit).toMatchObject([{ actor: user.id, target: `api_key:${String(answer.body.id)}`, result: 'success' }]);
    expect(JSON.stringify(audit)).not.toContain(key.slice(12));
    const { key: _shownOnce, ...rest } = answer.body;
    expect(await list(user)).toEqual([{ ...rest, expires_at: '2027-01-31T12:00:00.000Z' }]);
  });

  it('reach what a scope names and GET /auth/me, and nothing else', async () => {
    const user = await signUp();
    const reading = await keyOf(user);
    const typing = await keyOf(user, { scopes: ['terminal'] });
    expect(await get(reading.key, '/auth/me')).toMatchObject({ status: 200, body: { id: user.id } });
    expect((await get(reading.key, '/users/me/allowance')).status).toBe(200);
    expect(await get(typing.key, '/users/me/allowance')).toMatchObject({
      status: 403,
      body: { code: 'scope_missing', scope: 'env:read' },
    });
    for (const path of ['/users/me', '/auth/sessions', '/auth/api-keys', '/users'])
      expect([path, await get(reading.key, path)]).toMatchObject([path, { status: 403, body: { code: 'forbidden' } }]);
    expect(
      await auth.call('POST', '/auth/api-keys', { token: reading.key, body: { name: 'more', scopes: ['admin'] } }),
    ).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it('with the scope admin are for administrators, for as long as they are', async () => {
    const user = await signUp();
    expect(await create(user, { scopes: ['admin'] })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    await auth.app.get(UsersService).changeAccount(user.id, { plan: 'admin' });
    const [admin, other] = [await keyOf(user, { scopes: ['admin'] }), await keyOf(user)];
    expect((await get(admin.key, '/users')).status).toBe(200);
    expect(await get(other.key, '/users')).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
    await auth.app.get(UsersService).changeAccount(user.id, { plan: 'pro' });
    expect(await get(admin.key, '/users')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it('end with their time, by revocation, and with their account, sockets and tickets included', async () => {
    const user = await signUp();
    const brief = await keyOf(user, { expires_at: new Date(clock.millis() + 60_000).toISOString() });
    const [one, two] = [await keyOf(user), await keyOf(user)];
    const authenticator = auth.app.get(Authenticator);
    const refs = new Map<string, Parameters<Authenticator['restore']>[0]>();
    for (const { key } of [brief, one, two]) refs.set(key, (await authenticator.authenticate(key)).credential);
    const restored = async (key: string): Promise<unknown> => {
      const ref = refs.get(key);
      if (!ref) throw new Error('not authenticated before');
      return authenticator.restore(ref).then(
        ({ userId }) => userId,
        ({ code }: { code: string }) => code,
      );
    };
    clock.push(60_000);
    expect(await get(brief.key, '/auth/me')).toMatchObject({ status: 401, body: { code: 'token_expired' } });
    expect(await restored(brief.key)).toBe('token_expired');

    const heard: Revocation[] = [];
    const stop = authenticator.onRevoked((revocation) => heard.push(revocation));
    expect((await auth.call('DELETE', `/auth/api-keys/${one.id}`, { token: user.accessToken })).status).toBe(204);
    stop();
    expect(heard).toEqual([{ userId: user.id, credential: { kind: 'api_key', id: one.id, userId: user.id } }]);
    expect(await get(one.key, '/auth/me')).toMatchObject({ status: 401, body: { code: 'token_invalid' } });
    expect([await restored(one.key), await restored(two.key)]).toEqual(['session_revoked', user.id]);

    await auth.app.get(UsersService).changeAccount(user.id, { isActive: false });
    expect(await get(two.key, '/auth/me')).toMatchObject({ status: 401, body: { code: 'session_revoked' } });
    await auth.app.get(UsersService).changeAccount(user.id, { isActive: true });
    expect(await get(two.key, '/auth/me')).toMatchObject({ status: 401, body: { code: 'session_revoked' } });
    expect(await restored(two.key)).toBe('session_revoked');
  });

  it("are nobody else's to see or end", async () => {
    const [user, other] = [await signUp(), await signUp()];
    const { id, key } = await keyOf(user);
    expect(await list(other)).toEqual([]);
    expect((await auth.call('DELETE', `/auth/api-keys/${id}`, { token: other.accessToken })).status).toBe(404);
    expect((await get(key, '/auth/me')).status).toBe(200);
  });

  it('that are wrong are refused alike', async () => {
    const user = await signUp();
    const { key } = await keyOf(user);
    const wrong = `${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`;
    for (const presented of [wrong, `dp_aaaaaaaa_${'a'.repeat(32)}`, 'dp_', `${key} `.trim().toUpperCase(), key.slice(0, 11)])
      expect([presented, await get(presented, '/auth/me')]).toMatchObject([
        presented,
        { status: 401, body: { code: 'token_invalid' } },
      ]);
  });

  it('say when they were last used, to the minute', async () => {
    const user = await signUp();
    const { key } = await keyOf(user);
    const used = async (): Promise<unknown> => (await list(user))[0]?.last_used_at;
    await get(key, '/auth/me');
    const first = clock.now().toISOString();
    expect(await used()).toBe(first);
    clock.push(59_000);
    await get(key, '/auth/me');
    expect(await used()).toBe(first);
    clock.push(1_000);
    await get(key, '/auth/me');
    expect(await used()).toBe(clock.now().toISOString());
  });

  it('are a limited number however many are asked for at once, and those that ended hold no place', async () => {
    const user = await signUp();
    const answers = await Promise.all(Array.from({ length: MOST_KEYS + 10 }, () => create(user)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(MOST_KEYS);
    expect(answers.filter(({ body }) => body.code === 'api_key_limit')).toHaveLength(10);
    await auth.app.get(UsersService).changeAccount(user.id, { isActive: false });
    await auth.app.get(UsersService).changeAccount(user.id, { isActive: true });
    const again = (await auth.login(user.username)).body;
    expect(await create({ ...user, accessToken: String(again.access_token) })).toMatchObject({ status: 201 });
  });

  it.each([
    ['name', '', 'invalid_key_name'],
    ['name', 'a\nb', 'invalid_key_name'],
    ['name', 'x'.repeat(51), 'invalid_key_name'],
    ['scopes', [], 'required'],
    ['scopes', ['env:all'], 'invalid_scope'],
    ['scopes', ['terminal', 'terminal'], 'invalid_scope'],
    ['scopes', 'terminal', 'is_array'],
    ['expires_at', 'tomorrow', 'invalid_time'],
    ['expires_at', '2026-01-01T00:00:00Z', 'expires_in_the_past'],
  ])('refuse the %s %j', async (field, value, code) => {
    const user = await signUp();
    expect(await create(user, { [field]: value })).toMatchObject({ status: 422, body: { errors: [{ field, code }] } });
  });
});
