import { AuthApp, PASSWORD } from '@testing/auth';
import { createHmac, randomBytes } from 'node:crypto';

interface AuditDocument {
  readonly action: string;
  readonly result: string;
  readonly details: Readonly<Record<string, unknown>> | null;
  readonly ip: unknown;
  readonly request_id: unknown;
}

let auth: AuthApp;
beforeAll(async () => {
  auth = await AuthApp.start();
});
afterAll(() => auth.close());

describe('tokens', () => {
  const me = (token?: string, headers?: Record<string, string>) =>
    auth.call('GET', '/auth/me', { ...(token === undefined ? {} : { token }), ...(headers ? { headers } : {}) });
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = (header: object, claims: object, key: string): string => {
    const text = `${part(header)}.${part(claims)}`;
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  };

  it('are refused with the reason', async () => {
    const { accessToken } = await auth.signUp('tokens');
    const [header = '', payload = '', signature = ''] = accessToken.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const key = auth.settings.auth.secretKey;
    const codes: Record<string, unknown> = {};
    const look = async (name: string, token?: string, headers?: Record<string, string>): Promise<void> => {
      const answer = await me(token, headers);
      codes[name] = `${answer.status} ${String(answer.body.code)}`;
    };
    await look('none');
    await look('another scheme', undefined, { authorization: 'Basic YTpi' });
    await look('no token', 'x');
    await look('cut', `${header}.${payload}.${signature.slice(1)}`);
    await look('changed', `${header}.${part({ ...claims, username: 'root' })}.${signature}`);
    await look('unsigned', `${part({ alg: 'none', typ: 'JWT' })}.${payload}.`);
    await look('another key', signed({ alg: 'HS256', typ: 'JWT' }, claims, randomBytes(32).toString('hex')));
    await look('another algorithm', signed({ alg: 'HS512', typ: 'JWT' }, claims, key));
    await look('another type', signed({ alg: 'HS256', typ: 'JWT' }, { ...claims, type: 'refresh' }, key));
    await look('expired', signed({ alg: 'HS256', typ: 'JWT' }, { ...claims, exp: Number(claims.iat) - 1 }, key));
    await look('another user', signed({ alg: 'HS256', typ: 'JWT' }, { ...claims, sub: 'f'.repeat(24) }, key));
    await look('no such session', signed({ alg: 'HS256', typ: 'JWT' }, { ...claims, sid: 'f'.repeat(24) }, key));
    await look('good', signed({ alg: 'HS256', typ: 'JWT' }, claims, key));
    expect(codes).toEqual({
      none: '401 token_missing',
      'another scheme': '401 token_missing',
      'no token': '401 token_invalid',
      cut: '401 token_invalid',
      changed: '401 token_invalid',
      unsigned: '401 token_invalid',
      'another key': '401 token_invalid',
      'another algorithm': '401 token_invalid',
      'another type': '401 token_invalid',
      expired: '401 token_expired',
      'another user': '401 session_revoked',
      'no such session': '401 session_revoked',
      good: '200 undefined',
    });
  });

  it('are refreshed, and the same again when the answer was lost', async () => {
    const { refreshToken } = await auth.signUp('refresher');
    const [first, again] = [await auth.refresh(refreshToken), await auth.refresh(refreshToken)];
    expect(first.status).toBe(200);
    expect(again.body.refresh_token).toBe(first.body.refresh_token);
    expect(again.body.access_token).not.toBe(first.body.access_token);
    expect((await auth.refresh(String(first.body.refresh_token))).status).toBe(200);
    expect(await auth.refresh(refreshToken)).toMatchObject({ status: 401, body: { code: 'refresh_reused' } });
    expect(await auth.refresh(refreshToken)).toMatchObject({ status: 401, body: { code: 'session_revoked' } });
    expect(await auth.refresh('nonsense')).toMatchObject({ status: 401, body: { code: 'token_invalid' } });
    expect((await auth.call('POST', '/auth/refresh', { body: {} })).status).toBe(422);
  });
});

describe('sessions', () => {
  it('are listed, ended one by one, and only by their owner', async () => {
    const user = await auth.signUp('devices');
    const stranger = await auth.signUp('stranger');
    const second = await auth.call('POST', '/auth/login', {
      body: { username_or_email: 'devices', password: PASSWORD },
      headers: { 'user-agent': 'Phone/1.0' },
    });
    const list = await auth.call<Record<string, unknown>[]>('GET', '/auth/sessions', { token: user.accessToken });
    expect(list.headers.get('x-total-count')).toBe('2');
    expect(list.body).toHaveLength(2);
    const [newest, oldest] = list.body;
    expect(Object.keys(newest ?? {}).sort()).toEqual(['created_at', 'current', 'id', 'ip', 'last_used_at', 'user_agent']);
    expect(newest).toMatchObject({ user_agent: 'Phone/1.0', ip: expect.stringContaining('127.0.0.1') as string, current: false });
    expect(oldest).toMatchObject({ current: true });
    const page = await auth.call<unknown[]>('GET', '/auth/sessions?limit=1', { token: user.accessToken });
    expect(page.body).toEqual([newest]);
    expect(page.headers.get('link')).toMatch(/^<\/api\/v1\/auth\/sessions\?limit=1&cursor=[^>]+>; rel="next"$/);

    const path = `/auth/sessions/${String(newest?.id)}`;
    expect((await auth.call('DELETE', path, { token: stranger.accessToken })).status).toBe(404);
    const phone = { token: String(second.body.access_token) };
    expect((await auth.call('GET', '/auth/me', phone)).status).toBe(200);
    const removed = await auth.call('DELETE', path, { token: user.accessToken });
    expect([removed.status, removed.body]).toEqual([204, {}]);
    expect(await auth.call('GET', '/auth/me', phone)).toMatchObject({ status: 401, body: { code: 'session_revoked' } });
    expect((await auth.call('DELETE', path, { token: user.accessToken })).status).toBe(404);
    expect((await auth.call('DELETE', '/auth/sessions/nonsense', { token: user.accessToken })).status).toBe(404);
  });

  it('end at once with a logout, and no late refresh revives them', async () => {
    const user = await auth.signUp('leaver');
    const next = await auth.refresh(user.refreshToken);
    expect(await auth.call('POST', '/auth/logout', { token: user.accessToken })).toMatchObject({
      status: 200,
      body: { message: 'Logged out' },
    });
    for (const token of [user.accessToken, String(next.body.access_token)]) {
      expect(await auth.call('GET', '/auth/me', { token })).toMatchObject({ status: 401, body: { code: 'session_revoked' } });
    }
    for (const token of [user.refreshToken, String(next.body.refresh_token)]) {
      expect(await auth.refresh(token)).toMatchObject({ status: 401, body: { code: 'session_revoked' } });
    }
    expect((await auth.call('POST', '/auth/logout', { token: user.accessToken })).status).toBe(401);
  });

  it('end on every replica', async () => {
    const user = await auth.signUp('roamer');
    const other = await AuthApp.start({ beside: auth });
    try {
      expect((await other.call('GET', '/auth/me', { token: user.accessToken })).status).toBe(200);
      expect((await auth.call('POST', '/auth/logout', { token: user.accessToken })).status).toBe(200);
      expect((await other.call('GET', '/auth/me', { token: user.accessToken })).status).toBe(401);
    } finally {
      await other.close();
    }
    expect((await auth.call('GET', '/auth/me', { token: (await auth.signUp('after')).accessToken })).status).toBe(200);
  });
});

describe('what is kept', () => {
  it('holds no password and no token, and says who did what', async () => {
    const password = 'Unforgettable-42';
    await auth.register('secretive', password);
    const { body } = await auth.login('secretive', password);
    await auth.login('secretive', `${password}-wrong`);
    await auth.login(`${password}-as-a-name`, password);
    const { connection } = auth.database;
    const collections = (await connection.db?.listCollections().toArray()) ?? [];
    const everything: string[] = [];
    for (const { name } of collections) everything.push(JSON.stringify(await connection.collection(name).find().toArray()));
    expect(everything.join()).toContain('secretive');
    for (const secret of [password, String(body.access_token), String(body.refresh_token)]) {
      expect(everything.join()).not.toContain(secret);
    }
    const entries = await connection
      .collection<AuditDocument>('audit_entries')
      .find()
      .sort({ at: -1, _id: -1 })
      .limit(4)
      .toArray();
    expect(entries.reverse().map(({ action, result, details }) => [action, result, details?.reason ?? null])).toEqual([
      ['user.registered', 'success', null],
      ['session.started', 'success', null],
      ['session.started', 'failure', 'invalid_credentials'],
      ['session.started', 'failure', 'invalid_credentials'],
    ]);
    for (const { ip, request_id } of entries) expect([typeof ip, typeof request_id]).toEqual(['string', 'string']);
  });
});
