import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { talk, TestApi, type TestUser } from '../testing';

/** What `TestApi` gives its server. */
const KEY = 'k'.repeat(32);
const HS256 = { alg: 'HS256', typ: 'JWT' };
const now = (): number => Math.floor(Date.now() / 1000);

type Json = Readonly<Record<string, unknown>>;

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const signed = (header: Json, claims: Json, key: string | Buffer = KEY, hash = 'sha256'): string => {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`;
};
const unsigned = (header: Json, claims: Json, signature = ''): string => `${part(header)}.${part(claims)}.${signature}`;

function asymmetric(header: Json, claims: Json, key: KeyObject): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createSign('sha256').update(text).sign(key, 'base64url')}`;
}

describe('a forged access token', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], { WS_MAX_CONNECTIONS_PER_USER: '500' });
  const other = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })]);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  let victim: TestUser;
  let claims: Json;
  beforeAll(async () => {
    await api.start();
    await other.start();
    victim = await api.user('victim');
    claims = JSON.parse(Buffer.from(victim.token.split('.')[1] ?? '', 'base64url').toString()) as Json;
  });
  afterAll(async () => {
    await api.close();
    await other.close();
  });

  /** What the REST door and both doors of sockets say. */
  async function said(token: string): Promise<readonly string[]> {
    const { status, body } = await api.call('GET', '/auth/me', { token });
    const path = '/api/v1/ws/terminal/0123456789abcdef01234567';
    const asItem = /^[\w.!~'*+^`|-]+$/.test(token)
      ? talk(api.url, path, [`bearer.${token}`, 'devpocket.v1.json'])
      : talk(api.url, `${path}?token=${encodeURIComponent(token)}`);
    const asQuery = talk(api.url, `${path}?token=${encodeURIComponent(token)}`);
    const doors: string[] = [`${status} ${isRecord(body) ? String(body.code) : ''}`];
    for (const { over, messages } of [asItem, asQuery]) doors.push(`${await over} ${String(messages.at(-1)?.code)}`);
    return doors;
  }

  const refused = (code: string): readonly string[] => [`401 ${code}`, `4401 ${code}`, `4401 ${code}`];

  it('would be let in if it were none', async () => {
    expect(await said(signed(HS256, claims))).toEqual(['200 undefined', '4404 not_found', '4404 not_found']);
  });

  const FORGED: Readonly<Record<string, () => string>> = {
    'without an algorithm': () => unsigned({ alg: 'none', typ: 'JWT' }, claims),
    'without an algorithm, in other letters': () => unsigned({ alg: 'nOnE', typ: 'JWT' }, claims),
    'without an algorithm, with a signature': () => unsigned({ alg: 'none', typ: 'JWT' }, claims, 'AAAA'),
    'that names no algorithm at all': () => signed({ typ: 'JWT' }, claims),
    'without a signature': () => unsigned(HS256, claims),
    'with the signature of other claims': () => victim.token.replace(/\.[^.]*\./, `.${part({ ...claims, username: 'root' })}.`),
    'with a signature in padded base64': () => `${signed(HS256, claims)}=`,
    'of another key': () => signed(HS256, claims, 'x'.repeat(32)),
    'of an empty key': () => signed(HS256, claims, ''),
    'of a key cut short': () => signed(HS256, claims, KEY.slice(1)),
    'by HS384': () => signed({ alg: 'HS384', typ: 'JWT' }, claims, KEY, 'sha384'),
    'by HS512': () => signed({ alg: 'HS512', typ: 'JWT' }, claims, KEY, 'sha512'),
    'by RS256, with a key of its own': () => asymmetric({ alg: 'RS256', typ: 'JWT' }, claims, rsa.privateKey),
    'by RS256, with its key beside it': () =>
      asymmetric({ alg: 'RS256', typ: 'JWT', jwk: rsa.publicKey.export({ format: 'jwk' }) }, claims, rsa.privateKey),
    'by RS256, with an address of its key': () =>
      asymmetric(
        { alg: 'RS256', typ: 'JWT', jku: 'https://evil.example/jwks', x5u: 'https://evil.example/x' },
        claims,
        rsa.privateKey,
      ),
    'by HS256 with a public key': () => signed(HS256, claims, publicPem),
    'whose key id is an empty file': () => signed({ ...HS256, kid: '../../../../../../dev/null' }, claims, ''),
    'whose key id is a query': () => signed({ ...HS256, kid: "' UNION SELECT 'x' --" }, claims, 'x'),
    'of three parts and one more': () => `${signed(HS256, claims)}.${part(claims)}`,
    'encrypted, as it says': () => `${part({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`,
    'whose header is no JSON': () => `AAAA.${part(claims)}.AAAA`,
    'whose claims are a text': () => signed(HS256, 'claims' as unknown as Json),
    'of another type': () => signed(HS256, { ...claims, type: 'refresh_token' }),
    'of no type': () => signed(HS256, { ...claims, type: undefined }),
    'without a session': () => signed(HS256, { ...claims, sid: undefined }),
    'whose session is a query': () => signed(HS256, { ...claims, sid: { $ne: null } }),
    'whose user is a list': () => signed(HS256, { ...claims, sub: [claims.sub] }),
    'that was made in the future': () => signed(HS256, { ...claims, iat: now() + 3_600, exp: now() + 7_200 }),
    'that begins in the future': () => signed(HS256, { ...claims, nbf: now() + 3_600 }),
    'without an end': () => signed(HS256, { ...claims, exp: undefined }),
    'whose end is a text': () => signed(HS256, { ...claims, exp: '9999999999' }),
    'whose end is no number of seconds': () => signed(HS256, { ...claims, exp: 1e308 }),
    'that is the refresh token': () => 'A'.repeat(80),
    'that looks like an API key': () => `dp_${'A'.repeat(8)}_${'B'.repeat(32)}`,
  };

  it.each(Object.keys(FORGED))('%s is not valid at any door', async (how) => {
    expect(await said(FORGED[how]?.() ?? '')).toEqual(refused('token_invalid'));
  });

  it('that has expired says so', async () => {
    expect(await said(signed(HS256, { ...claims, exp: now() - 1 }))).toEqual(refused('token_expired'));
  });

  it.each([
    ['of a session that there is not', () => ({ sid: 'f'.repeat(24) })],
    ['of another user', () => ({ sub: 'f'.repeat(24) })],
  ])('%s is that of an ended session', async (_how, change) => {
    expect(await said(signed(HS256, { ...claims, ...change() }))).toEqual(refused('session_revoked'));
  });

  it('of somebody with somebody else’s session is that of an ended session', async () => {
    const mallory = await api.user('mallory');
    const theirs = JSON.parse(Buffer.from(mallory.token.split('.')[1] ?? '', 'base64url').toString()) as Json;
    expect(await said(signed(HS256, { ...theirs, sub: claims.sub }))).toEqual(refused('session_revoked'));
  });

  it('of another installation with the same key opens nothing here', async () => {
    expect(await said((await other.user('victim')).token)).toEqual(refused('session_revoked'));
  });

  it('gains nothing by what its claims say of role and plan', async () => {
    const token = signed(HS256, { ...claims, role: 'admin', subscription_plan: 'admin', scopes: ['admin'], username: 'root' });
    expect((await api.call('GET', '/users', { token })).body).toMatchObject({ status: 403, code: 'forbidden' });
    expect((await api.call('GET', '/auth/me', { token })).body).toMatchObject({ username: 'victim', role: 'user' });
  });

  it('is not looked for in URLs, bodies or cookies of REST calls', async () => {
    const { token } = victim;
    for (const path of [`/auth/me?token=${token}`, `/auth/me?access_token=${token}`, `/auth/me?ticket=${token}`])
      expect((await api.call('GET', path)).body).toMatchObject({ code: 'token_missing' });
    for (const headers of [{ cookie: `token=${token}` }, { authorization: `Basic ${token}` }, { 'x-access-token': token }])
      expect((await api.call('GET', '/auth/me', { headers })).body).toMatchObject({ code: 'token_missing' });
    expect((await api.call('POST', '/auth/logout', { body: { token } })).body).toMatchObject({ code: 'token_missing' });
  });

  it('of any length is refused before it is looked at, and the server goes on', async () => {
    expect((await api.call('GET', '/auth/me', { token: 'A'.repeat(20_000) })).status).toBe(431);
    expect((await api.call('GET', '/auth/me', { token: `${part(HS256)}.${'A'.repeat(15_000)}.AAAA` })).status).toBe(401);
    expect((await api.call('GET', '/auth/me', { token: victim.token })).status).toBe(200);
  });
});
