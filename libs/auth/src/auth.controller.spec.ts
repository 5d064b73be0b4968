import { UsersService } from '@devpocket/users';
import { AuthApp, PASSWORD, type SignedUp } from '@testing/auth';

const USER_MEMBERS = [
  'avatar_url',
  'created_at',
  'email',
  'full_name',
  'id',
  'is_active',
  'is_verified',
  'last_login',
  'preferred_region',
  'role',
  'subscription_plan',
  'username',
];

let auth: AuthApp;
beforeAll(async () => {
  auth = await AuthApp.start();
});
afterAll(() => auth.close());

/** How many answers of each kind: `201` or `400 username_taken`. */
function tally(
  answers: readonly { readonly status: number; readonly body: Readonly<Record<string, unknown>> }[],
): Record<string, number> {
  const seen: Record<string, number> = {};
  for (const { status, body } of answers) {
    const kind = typeof body.code === 'string' ? `${status} ${body.code}` : String(status);
    seen[kind] = (seen[kind] ?? 0) + 1;
  }
  return seen;
}

describe('POST /auth/register', () => {
  const register = (body: object) => auth.call('POST', '/auth/register', { body });
  const good = { username: 'Ada_L', email: 'Ada@Example.com', password: PASSWORD };

  it('answers the user, with every member and nothing else', async () => {
    const { status, body } = await register({ ...good, full_name: '  Ada Lovelace ', preferred_region: 'eu-central' });
    expect(status).toBe(201);
    expect(Object.keys(body).sort()).toEqual(USER_MEMBERS);
    expect(body).toMatchObject({
      username: 'Ada_L',
      email: 'Ada@Example.com',
      full_name: 'Ada Lovelace',
      preferred_region: 'eu-central',
      is_active: true,
      is_verified: true,
      subscription_plan: 'free',
      role: 'user',
      avatar_url: null,
      last_login: null,
    });
    expect(body.id).toMatch(/^[0-9a-f]{24}$/);
    expect(body.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('refuses a taken name or address in any case', async () => {
    expect(await register({ ...good, username: 'ada_l', email: 'new@example.com' })).toMatchObject({
      status: 400,
      body: { code: 'username_taken', detail: 'Username already taken' },
    });
    expect(await register({ ...good, username: 'new', email: 'ADA@EXAMPLE.COM' })).toMatchObject({
      status: 400,
      body: { code: 'email_taken', detail: 'Email already registered' },
    });
  });

  it('names every faulty field with its code', async () => {
    const { status, body } = await register({
      username: 'a b',
      email: 'nobody',
      password: `Aa1${'ü'.repeat(40)}`,
      full_name: 'x'.repeat(101),
      preferred_region: 'moon',
      is_admin: true,
    });
    expect(status).toBe(422);
    const errors = body.errors as { field: string; code: string; message: string }[];
    expect(errors.map(({ field, code }) => `${field} ${code}`).sort()).toEqual([
      'email invalid_email',
      'full_name full_name_too_long',
      'is_admin unknown_field',
      'password password_too_many_bytes',
      'preferred_region invalid_region',
      'username invalid_username',
    ]);
    expect(errors.find(({ field }) => field === 'email')?.message).toBe('must be an email address');
    expect(errors.find(({ field }) => field === 'password')?.message).toContain('72 bytes');
  });

  it('takes no object for a text', async () => {
    for (const member of ['username', 'email', 'password']) {
      const { status } = await register({ ...good, [member]: { $gt: '' } });
      expect(status).toBe(422);
    }
  });

  it('gives one of a hundred at once the name', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        register({ username: n % 2 === 0 ? 'crowd' : 'CROWD', email: `crowd${n}@example.com`, password: PASSWORD }),
      ),
    );
    expect(tally(answers)).toEqual({ '201': 1, '400 username_taken': 99 });
  });

  it('gives one of a hundred at once the address', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => register({ username: `many${n}`, email: 'Many@example.com', password: PASSWORD })),
    );
    expect(tally(answers)).toEqual({ '201': 1, '400 email_taken': 99 });
  });
});

describe('POST /auth/login', () => {
  let user: SignedUp;
  beforeAll(async () => {
    user = await auth.signUp('grace');
  });

  it('answers a token for the name or the address, in any case', async () => {
    for (const name of ['grace', 'GRACE', 'Grace@Example.com']) {
      const { status, body } = await auth.login(name);
      expect(status).toBe(200);
      expect(Object.keys(body).sort()).toEqual(['access_token', 'expires_in', 'refresh_token', 'token_type']);
      expect(body).toMatchObject({ token_type: 'bearer', expires_in: 1800 });
      const [, payload = ''] = String(body.access_token).split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
      expect(Object.keys(claims).sort()).toEqual(['email', 'exp', 'iat', 'jti', 'sid', 'sub', 'type', 'username']);
      expect(claims).toMatchObject({ sub: user.id, username: 'grace', email: 'grace@example.com', type: 'access_token' });
      expect(Number(claims.exp) - Number(claims.iat)).toBe(1800);
    }
  });

  it('answers the same for a wrong password, an unknown account and a deactivated one', async () => {
    const idle = await auth.signUp('idle');
    await auth.app.get(UsersService).changeAccount(idle.id, { isActive: false });
    const answers = [
      await auth.login('grace', 'Wrong-Horse-7'),
      await auth.login('nobody'),
      await auth.login('nobody@example.com'),
      await auth.login('idle'),
      await auth.login('grace', `${PASSWORD}\0`),
    ];
    for (const { status, headers, body } of answers) {
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toBe('Bearer');
      expect({ ...body, request_id: '' }).toEqual({
        type: 'about:blank',
        title: 'Unauthorized',
        status: 401,
        detail: 'Incorrect username/email or password',
        code: 'invalid_credentials',
        request_id: '',
      });
    }
  });

  it.each(['locked', 'nobody-at-all'])('locks %s after five wrong passwords, parallel or not', async (name) => {
    if (name === 'locked') await auth.signUp(name);
    const open = name === 'locked' ? String((await auth.login(name)).body.access_token) : null;
    const names = [name, name.toUpperCase(), ...(name === 'locked' ? [`${name}@example.com`] : [])];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => auth.login(names[n % names.length] ?? '', 'Wrong-Horse-7')),
    );
    expect(tally(answers)).toEqual({ '401 invalid_credentials': 5, '401 account_locked': 15 });
    expect(await auth.login(name)).toMatchObject({
      status: 401,
      body: { code: 'account_locked', detail: 'Account is temporarily locked due to too many failed attempts' },
    });
    if (open !== null) expect(await auth.call('GET', '/auth/me', { token: open })).toMatchObject({ status: 200 });
  });

  it('lets any number of right passwords in at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => auth.login('grace')));
    expect(tally(answers)).toEqual({ '200': 20 });
  });

  it('needs both members', async () => {
    const { status, body } = await auth.call('POST', '/auth/login', { body: { username_or_email: '' } });
    expect(status).toBe(422);
    expect((body.errors as { field: string; code: string }[]).map(({ field, code }) => `${field} ${code}`)).toEqual([
      'username_or_email required',
      'password is_string',
    ]);
  });
});
