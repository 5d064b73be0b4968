import { Authenticator, type Revocation } from '@devpocket/access';
import { AllowanceRegistry, type AllowanceUsage, UsersService } from '@devpocket/users';
import { AuthApp, PASSWORD, type SignedUp } from '@testing/auth';
import { RegistrationGate } from './registration-gate';

const NEW_PASSWORD = 'Another-Horse-8';

let auth: AuthApp;
let number = 0;
beforeAll(async () => {
  auth = await AuthApp.start();
});
afterAll(() => auth.close());

const signUp = (): Promise<SignedUp> => auth.signUp(`user${(number += 1)}`);
const signUpAdmin = async (): Promise<SignedUp> => {
  const user = await signUp();
  await auth.app.get(UsersService).promote(user.id);
  return user;
};
const userAt = async (token: string, path: string): Promise<number> => (await auth.call('GET', path, { token })).status;

describe('PATCH /users/me', () => {
  const patch = (user: SignedUp, body: object, method = 'PATCH') =>
    auth.call(method, '/users/me', { token: user.accessToken, body });

  it.each(['PATCH', 'PUT'])('%s changes what it is given, and null clears', async (method) => {
    const user = await signUp();
    expect(await patch(user, { full_name: ' Ada ', preferred_region: 'us-west' }, method)).toMatchObject({
      status: 200,
      body: { id: user.id, full_name: 'Ada', preferred_region: 'us-west' },
    });
    expect(await patch(user, {}, method)).toMatchObject({ status: 200, body: { full_name: 'Ada' } });
    expect(await patch(user, { full_name: null, preferred_region: null }, method)).toMatchObject({
      status: 200,
      body: { full_name: null, preferred_region: null },
    });
    expect((await auth.call('GET', '/users/me', { token: user.accessToken })).body.full_name).toBeNull();
  });

  it('changes the address with the password, at once', async () => {
    const [user, other] = [await signUp(), await signUp()];
    const email = `New.${user.username}@example.com`;
    expect(await patch(user, { email })).toMatchObject({
      status: 422,
      body: { code: 'validation_error', errors: [{ field: 'current_password', code: 'required' }] },
    });
    expect(await patch(user, { email, current_password: 'Wrong-1-password' })).toMatchObject({
      status: 403,
      body: { code: 'wrong_password' },
    });
    const taken = { email: `${other.username.toUpperCase()}@example.com`, current_password: PASSWORD };
    expect(await patch(user, taken)).toMatchObject({ status: 400, body: { code: 'email_taken' } });
    expect(await patch(user, { email, current_password: PASSWORD })).toMatchObject({
      status: 200,
      body: { email, is_verified: true },
    });
    expect((await auth.login(email)).status).toBe(200);
    expect((await auth.login(`${user.username}@example.com`)).status).toBe(401);
  });

  it('needs no password to send the same address back', async () => {
    const user = await signUp();
    expect(await patch(user, { email: `${user.username}@example.com`, full_name: 'Ada' }, 'PUT')).toMatchObject({
      status: 200,
      body: { full_name: 'Ada' },
    });
  });

  it.each([
    [{ email: null }, 'email'],
    [{ email: 'nobody' }, 'email'],
    [{ full_name: 'a\u0007b' }, 'full_name'],
    [{ preferred_region: 'moon' }, 'preferred_region'],
    [{ username: 'other' }, 'username'],
    [{ role: 'admin' }, 'role'],
    [{ subscription_plan: 'admin' }, 'subscription_plan'],
    [{ is_verified: true }, 'is_verified'],
  ])('refuses %j', async (body, field) => {
    expect(await patch(await signUp(), body)).toMatchObject({ status: 422, body: { errors: [{ field }] } });
  });

  it('keeps its address, and creates nothing, until mail proves one', async () => {
    const proving = await AuthApp.start({ env: { SMTP_URL: 'smtp://localhost' } });
    try {
      const { accessToken } = await proving.signUp('ada');
      const body = { email: 'other@example.com', current_password: PASSWORD };
      expect(await proving.call('PATCH', '/users/me', { token: accessToken, body })).toMatchObject({
        status: 200,
        body: { email: 'ada@example.com', is_verified: false },
      });
      expect(await proving.call('GET', '/users/me/allowance', { token: accessToken })).toMatchObject({
        body: { can_create: false, largest_resources: { cpu: '0m', memory: '0', storage: '0' } },
      });
      expect((await proving.call('GET', '/auth/me', { token: accessToken })).body).toMatchObject({ is_verified: false });
    } finally {
      await proving.close();
    }
  });
});

describe('POST /users/me/password', () => {
  const change = (user: SignedUp, current: string, next: string) =>
    auth.call('POST', '/users/me/password', {
      token: user.accessToken,
      body: { current_password: current, new_password: next },
    });

  it('replaces the password and ends every other session, sockets included', async () => {
    const user = await signUp();
    const other = (await auth.login(user.username)).body;
    const heard: Revocation[] = [];
    const stop = auth.app.get(Authenticator).onRevoked((revocation) => heard.push(revocation));
    expect(await change(user, PASSWORD, NEW_PASSWORD)).toMatchObject({ status: 200, body: { message: 'Password changed' } });
    stop();
    expect(heard).toHaveLength(1);
    expect(await userAt(user.accessToken, '/auth/me')).toBe(200);
    expect(await userAt(String(other.access_token), '/auth/me')).toBe(401);
    expect(await auth.refresh(String(other.refresh_token))).toMatchObject({ body: { code: 'session_revoked' } });
    expect((await auth.refresh(user.refreshToken)).status).toBe(200);
    expect((await auth.login(user.username)).status).toBe(401);
    expect((await auth.login(user.username, NEW_PASSWORD)).status).toBe(200);
  });

  it('counts wrong ones in the lockout of the account', async () => {
    const user = await signUp();
    await auth.login(user.username, 'Wrong-1-password');
    const answers = await Promise.all(Array.from({ length: 10 }, () => change(user, 'Wrong-1-password', NEW_PASSWORD)));
    const codes = answers.map(({ status, body }) => `${status} ${String(body.code)}`).sort();
    expect(codes).toEqual([...Array<string>(6).fill('403 account_locked'), ...Array<string>(4).fill('403 wrong_password')]);
    expect(await change(user, PASSWORD, NEW_PASSWORD)).toMatchObject({ status: 403, body: { code: 'account_locked' } });
    expect(await auth.login(user.username)).toMatchObject({ status: 401, body: { code: 'account_locked' } });
    expect(await userAt(user.accessToken, '/auth/me')).toBe(200);
  });

  it('lets one of parallel changes win, whose password is then the one', async () => {
    const user = await signUp();
    const passwords = ['Parallel-1', 'Parallel-2', 'Parallel-3'];
    const answers = await Promise.all(passwords.map((next) => change(user, PASSWORD, next)));
    const winners = passwords.filter((_, n) => answers[n]?.status === 200);
    expect(winners).toHaveLength(1);
    for (const password of passwords) {
      expect((await auth.login(user.username, password)).status).toBe(winners.includes(password) ? 200 : 401);
    }
    expect(await userAt(user.accessToken, '/auth/me')).toBe(200);
  });

  it('holds the new one to the rules', async () => {
    const user = await signUp();
    expect(await change(user, PASSWORD, 'short')).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'new_password', code: 'password_too_short' }] },
    });
  });

  it('leaves no session of the old password, however the two race', async () => {
    for (let round = 0; round < 10; round += 1) {
      const user = await signUp();
      const logins = Array.from({ length: 4 }, () => auth.login(user.username));
      const [changed, ...signedIn] = await Promise.all([change(user, PASSWORD, NEW_PASSWORD), ...logins]);
      expect(changed.status).toBe(200);
      for (const { body } of signedIn) {
        if (typeof body.access_token === 'string') expect(await userAt(body.access_token, '/auth/me')).toBe(401);
      }
      const list = await auth.call<unknown[]>('GET', '/auth/sessions', { token: user.accessToken });
      expect(list.body).toHaveLength(1);
    }
  });
});

describe('administration', () => {
  it('is for administrators', async () => {
    const [admin, user] = [await signUpAdmin(), await signUp()];
    for (const path of ['/users', `/users/${user.id}`]) {
      expect(await userAt(user.accessToken, path)).toBe(403);
      expect(await userAt(admin.accessToken, path)).toBe(200);
    }
    const body = { subscription_plan: 'admin' };
    expect(await auth.call('PATCH', `/users/${user.id}`, { token: user.accessToken, body })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    expect(await userAt(admin.accessToken, `/users/${'f'.repeat(24)}`)).toBe(404);
    expect(await userAt(admin.accessToken, '/users/nonsense')).toBe(404);
  });

  it('lists every account, newest first, a page at a time', async () => {
    const admin = await signUpAdmin();
    const newest = await signUp();
    const page = await auth.call<{ id: string }[]>('GET', '/users?limit=1', { token: admin.accessToken });
    expect(page.body.map(({ id }) => id)).toEqual([newest.id]);
    const next = /cursor=([^>&]+)/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    const second = await auth.call<{ id: string }[]>('GET', `/users?limit=1&cursor=${next}`, { token: admin.accessToken });
    expect(second.body.map(({ id }) => id)).toEqual([admin.id]);
    expect(second.headers.get('x-total-count')).toBe(String(await auth.app.get(UsersService).count()));
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'cursor=nonsense']) {
      expect(await userAt(admin.accessToken, `/users?${query}`)).toBe(422);
    }
  });

  it('changes plan, state and verification, and nothing else', async () => {
    const [admin, user] = [await signUpAdmin(), await signUp()];
    const patch = (body: object) => auth.call('PATCH', `/users/${user.id}`, { token: admin.accessToken, body });
    expect(await patch({ subscription_plan: 'admin', is_verified: false })).toMatchObject({
      status: 200,
      body: { subscription_plan: 'admin', role: 'admin', is_verified: false, is_active: true },
    });
    expect(await userAt(user.accessToken, '/users')).toBe(200);
    expect(await patch({ subscription_plan: 'pro' })).toMatchObject({ body: { subscription_plan: 'pro', role: 'user' } });
    expect(await userAt(user.accessToken, '/users')).toBe(403);
    for (const body of [{ subscription_plan: 'gold' }, { is_active: 'no' }, { is_active: null }, { role: 'admin' }]) {
      expect((await patch(body)).status).toBe(422);
    }
    const path = `/users/${'f'.repeat(24)}`;
    expect((await auth.call('PATCH', path, { token: admin.accessToken, body: { is_active: true } })).status).toBe(404);
  });

  it('ends all that a deactivated account has open, for good', async () => {
    const [admin, user] = [await signUpAdmin(), await signUp()];
    const heard: Revocation[] = [];
    const stop = auth.app.get(Authenticator).onRevoked((revocation) => heard.push(revocation));
    const patch = (is_active: boolean) =>
      auth.call('PATCH', `/users/${user.id}`, { token: admin.accessToken, body: { is_active } });
    expect((await patch(false)).body).toMatchObject({ is_active: false });
    stop();
    expect(heard).toEqual([{ userId: user.id, credential: null }]);
    for (const active of [false, true]) {
      if (active) await patch(true);
      expect(await auth.call('GET', '/auth/me', { token: user.accessToken })).toMatchObject({
        status: 401,
        body: { code: 'session_revoked' },
      });
      expect(await auth.refresh(user.refreshToken)).toMatchObject({ status: 401, body: { code: 'session_revoked' } });
    }
    expect((await auth.login(user.username)).status).toBe(200);
  });
});

describe('GET /users/me/allowance', () => {
  it("tells the plan's limits, and what is used where somebody knows it", async () => {
    const user = await signUp();
    const look = () => auth.call('GET', '/users/me/allowance', { token: user.accessToken });
    expect(await look()).toMatchObject({
      status: 200,
      body: { plan: 'free', can_create: true, largest_resources: { cpu: '500m', memory: '1Gi', storage: '5Gi' } },
    });
    auth.app.get(AllowanceRegistry).join({
      usageOf: (userId: string): Promise<AllowanceUsage> =>
        Promise.resolve({ active: userId === user.id ? 1 : 0, kept: 2, largest: null }),
    });
    expect(await look()).toMatchObject({
      body: {
        can_create: false,
        largest_resources: { cpu: '0m', memory: '0', storage: '0' },
        limits: [{ name: 'active_environments', allowed: 1, used: 1, plan: 'free' }, { used: 2 }, {}, {}, {}, {}, {}],
      },
    });
  });
});

describe('GET of users', () => {
  it('answers 304 to who has it', async () => {
    const user = await signUp();
    for (const path of ['/auth/me', '/users/me']) {
      const first = await auth.call('GET', path, { token: user.accessToken });
      const etag = first.headers.get('etag') ?? '';
      const again = await auth.call('GET', path, { token: user.accessToken, headers: { 'if-none-match': etag } });
      expect([again.status, again.body]).toEqual([304, {}]);
    }
  });
});

describe('the registration gate', () => {
  it.each(['sole', 'closed'] as const)('%s', async (admission) => {
    const gated = await AuthApp.start();
    try {
      await gated.app.get(RegistrationGate).join({ admission: () => Promise.resolve(admission) });
      const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => gated.register(`first${n}`)));
      const refused = { status: 403, body: { code: 'registration_closed' } };
      const [welcome, rest] = [answers.filter(({ status }) => status === 201), answers.filter(({ status }) => status !== 201)];
      expect(welcome).toHaveLength(admission === 'sole' ? 1 : 0);
      for (const answer of rest) expect(answer).toMatchObject(refused);
      expect(await gated.register('late')).toMatchObject(refused);
    } finally {
      await gated.close();
    }
  });
});

describe('the audit trail', () => {
  const read = (token: string, path: string) => auth.call<Record<string, unknown>[]>('GET', path, { token });

  it('shows everybody what concerns their account, and administrators all of it', async () => {
    const [admin, user, other] = [await signUpAdmin(), await signUp(), await signUp()];
    await auth.login(user.username, 'Wrong-1-password');
    await auth.call('PATCH', `/users/${user.id}`, { token: admin.accessToken, body: { subscription_plan: 'starter' } });
    const own = await read(user.accessToken, '/users/me/audit');
    expect(own.body.map(({ actor, action, result }) => [actor, action, result])).toEqual([
      [admin.id, 'user.changed', 'success'],
      [null, 'session.started', 'failure'],
      [user.id, 'session.started', 'success'],
      [user.id, 'user.registered', 'success'],
    ]);
    expect(own.body[0]).toMatchObject({ target: `user:${user.id}`, details: { plan: 'starter' } });
    expect(JSON.stringify((await read(other.accessToken, '/users/me/audit')).body)).not.toContain(user.id);

    const query = `/admin/audit?action=user.changed&target=user:${user.id}&actor=${admin.id}&from=2026-01-01T00:00:00Z`;
    expect((await read(admin.accessToken, query)).body).toEqual(own.body.slice(0, 1));
    expect((await read(admin.accessToken, `${query}&to=2026-01-02T00:00:00Z`)).body).toEqual([]);
    expect((await read(user.accessToken, query)).status).toBe(403);
  });

  it.each(['actor=me', 'action[$ne]=x', 'action=A', 'target=a%20b', 'from=today', 'to=2026-13-01T00:00:00Z', 'nothing=1'])(
    'refuses the query %s',
    async (query) => {
      const admin = await signUpAdmin();
      expect(await read(admin.accessToken, `/admin/audit?${query}`)).toMatchObject({
        status: 422,
        body: { code: 'validation_error' },
      });
    },
  );
});
