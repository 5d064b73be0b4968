import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { GOOGLE_APP, GoogleIssuer } from '@testing/auth';
import { FakeDriver } from '@testing/runtime';
import { createHash, randomBytes } from 'node:crypto';
import { TestApi } from '../testing';

describe('Google sign-in of the whole server', () => {
  let issuer: GoogleIssuer;
  let api: TestApi;
  beforeAll(async () => {
    issuer = await GoogleIssuer.start();
    api = await new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], issuer.env).start();
  });
  afterAll(async () => {
    await api.close();
    await issuer.stop();
  });

  it('is told of, and takes a token', async () => {
    expect((await api.call('GET', '/info')).body).toMatchObject({ features: { google_sign_in: true } });
    const body = { token: await issuer.token(issuer.person('ada')) };
    const { status, body: pair } = await api.call('POST', '/auth/google', { body });
    expect(status).toBe(200);
    const token = isRecord(pair) ? String(pair.access_token) : '';
    expect((await api.call('GET', '/auth/me', { token })).body).toMatchObject({ email: 'ada@example.com', is_verified: true });
    expect((await api.call('DELETE', '/users/me', { token })).status).toBe(202);
  });

  it('goes through a browser, with the page’s own protections and no trace in another address', async () => {
    issuer.browses(issuer.person('bob'));
    const verifier = randomBytes(32).toString('base64url');
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const begun = await api.call('GET', `/auth/google/login/?code_challenge=${challenge}`);
    expect([begun.status, begun.headers.get('referrer-policy')]).toEqual([302, 'no-referrer']);
    const atGoogle = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' });
    const { search } = new URL(atGoogle.headers.get('location') ?? '');
    const [cookie = ''] = begun.headers.getSetCookie().map((set) => set.split(';')[0] ?? '');
    const ended = await api.call('GET', `/auth/google/callback${search}`, { headers: { cookie } });
    const app = new URL(ended.headers.get('location') ?? '');
    expect([ended.status, ended.headers.get('cache-control')]).toEqual([302, 'no-store']);
    expect(`${app.protocol}//${app.host}`).toBe(GOOGLE_APP);
    const body = { code: app.searchParams.get('code'), code_verifier: verifier };
    expect((await api.call('POST', '/auth/google/exchange', { body })).status).toBe(200);
    expect((await api.call('POST', '/auth/google/exchange', { body })).body).toMatchObject({ code: 'google_code_invalid' });
  });
});
