import { AuthApp, GoogleIssuer, type GooglePerson } from '@testing/auth';
import { ManualClock } from '@testing/kernel';
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';

const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const partsOf = (token: string): [string, string, string] => token.split('.') as [string, string, string];
const now = (): number => Math.floor(Date.now() / 1000);

describe('POST /auth/google', () => {
  const clock = new ManualClock(Date.parse('2026-11-26T12:00:00Z'));
  let issuer: GoogleIssuer;
  let auth: AuthApp;
  let ada: GooglePerson;
  beforeAll(async () => {
    issuer = await GoogleIssuer.start();
    auth = await AuthApp.start({ clock, env: issuer.env });
    ada = issuer.person('ada');
  });
  afterAll(async () => {
    await auth.close();
    await issuer.stop();
  });

  const invalid = { status: 401, body: { code: 'google_token_invalid' } };
  const accounts = (): Promise<number> => auth.database.connection.collection('users').countDocuments({});

  it('takes a token of its issuer for its client', async () => {
    expect(await auth.google(await issuer.token(ada))).toMatchObject({
      status: 200,
      body: { token_type: 'bearer', expires_in: 1800 },
    });
    expect(await auth.google(await issuer.token(ada, { email_verified: 'true' }))).toMatchObject({ status: 200 });
  });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['for another client', { aud: 'other.apps.example.com' }],
    ['for several clients', { aud: ['devpocket.apps.example.com', 'other.apps.example.com'] }],
    ['for nobody', { aud: undefined }],
    ['of another issuer', { iss: 'https://accounts.example.com' }],
    ['of Google itself, which is not the issuer here', { iss: 'accounts.google.com' }],
    ['that has expired', { iat: now() - 7200, exp: now() - 3600 }],
    ['that never expires', { exp: undefined }],
    ['that lives for years', { exp: now() + 10 * 365 * 86_400 }],
    ['of the future', { iat: now() + 3600, exp: now() + 7200 }],
    ['with an address that was not checked', { email_verified: false }],
    ['with an address that was not checked, as text', { email_verified: 'false' }],
    ['that does not say whether it was checked', { email_verified: undefined }],
    ['without an address', { email: undefined }],
    ['with an address that is none', { email: 'ada@localhost@example' }],
    ['without a subject', { sub: undefined }],
    ['with an empty subject', { sub: '' }],
    ['with a subject that is an operator', { sub: { $ne: null } }],
  ])('refuses a token %s', async (_what, over) => {
    const before = await accounts();
    expect(await auth.google(await issuer.token(issuer.person('eve'), over))).toMatchObject(invalid);
    expect(await accounts()).toBe(before);
  });

  it('asks for the nonce when the caller made one', async () => {
    const token = await issuer.token(ada, { nonce: 'mine' });
    expect(await auth.google(token, { nonce: 'mine' })).toMatchObject({ status: 200 });
    expect(await auth.google(token, { nonce: 'other' })).toMatchObject(invalid);
    expect(await auth.google(await issuer.token(ada), { nonce: 'mine' })).toMatchObject(invalid);
  });

  describe('refuses a token that', () => {
    let forged: Readonly<Record<string, string>>;
    beforeAll(async () => {
      const [header, payload, signature] = partsOf(await issuer.token(ada));
      const [key] = issuer.server.issuer.keys.toJSON();
      const publicKey = createPublicKey({ key: { ...key }, format: 'jwk' });
      const mac = (data: string): string =>
        createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' }))
          .update(data)
          .digest('base64url');
      const hs256 = `${base64({ alg: 'HS256', kid: 'first' })}.${payload}`;
      const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const sealed = (head: object): string => {
        const data = `${base64(head)}.${payload}`;
        return `${data}.${sign('sha256', Buffer.from(data), own.privateKey).toString('base64url')}`;
      };
      await issuer.server.issuer.keys.generate('ES256', { kid: 'curve' });
      await issuer.server.issuer.keys.generate('RS512', { kid: 'long' });
      const genuine = (head: { readonly alg: string; readonly kid: string }): string => {
        const own = issuer.server.issuer.keys.toJSON(true).find(({ kid }) => kid === head.kid);
        const data = `${base64(head)}.${payload}`;
        const privateKey = createPrivateKey({ key: { ...own }, format: 'jwk' });
        return `${data}.${sign('sha256', Buffer.from(data), privateKey).toString('base64url')}`;
      };
      forged = {
        'has no signature': `${base64({ alg: 'none', kid: 'first' })}.${payload}.`,
        'has none and names no key': `${base64({ alg: 'none' })}.${payload}.`,
        'lost its signature': `${header}.${payload}.`,
        'is signed with the public key as a secret': `${hs256}.${mac(hs256)}`,
        'says another algorithm than it is of': genuine({ alg: 'HS256', kid: 'first' }),
        'is signed with a key for another hash': genuine({ alg: 'RS256', kid: 'long' }),
        'was changed': `${header}.${base64({ ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), sub: 'x' })}.${signature}`,
        'somebody else signed': sealed({ alg: 'RS256', kid: 'first' }),
        'brings its key along': sealed({ alg: 'RS256', kid: 'first', jwk: own.publicKey.export({ format: 'jwk' }) }),
        'names no key': sealed({ alg: 'RS256' }),
        'names a key of every object': sealed({ alg: 'RS256', kid: '__proto__' }),
        'is of another algorithm': await issuer.token(ada, {}, 'curve'),
        'is of a longer hash': await issuer.token(ada, {}, 'long'),
        'has two parts': `${header}.${payload}`,
        'has four parts': `${header}.${payload}.${signature}.${signature}`,
        'is JSON that is null': `${Buffer.from('null').toString('base64url')}.${payload}.${signature}`,
        'is none': 'token',
        'is an access token of ours': String((await auth.google(await issuer.token(ada))).body.access_token),
      };
    });

    it.each([
      'has no signature',
      'has none and names no key',
      'lost its signature',
      'is signed with the public key as a secret',
      'says another algorithm than it is of',
      'is signed with a key for another hash',
      'was changed',
      'somebody else signed',
      'brings its key along',
      'names no key',
      'names a key of every object',
      'is of another algorithm',
      'is of a longer hash',
      'has two parts',
      'has four parts',
      'is JSON that is null',
      'is none',
      'is an access token of ours',
    ])('%s', async (what) => {
      clock.push(60_000); // unknown keys may be looked for
      expect(await auth.google(forged[what] ?? '')).toMatchObject(invalid);
    });
  });

  it.each<[string, object]>([
    ['no token', {}],
    ['an empty token', { token: '' }],
    ['a number', { token: 7 }],
    ['a token without end', { token: 'x'.repeat(16_385) }],
    ['an empty nonce', { token: 'x', nonce: '' }],
    ['something else beside it', { token: 'x', sub: 'y' }],
  ])('refuses a body with %s', async (_what, body) => {
    expect(await auth.call('POST', '/auth/google', { body })).toMatchObject({ status: 422, body: { code: 'validation_error' } });
  });

  it('follows a rotation of keys, and looks for an unknown key once in half a minute', async () => {
    clock.push(3_600_000);
    expect((await auth.google(await issuer.token(ada))).status).toBe(200);
    const { keyReads } = issuer;
    await issuer.server.issuer.keys.generate('RS256', { kid: 'second' });
    const rotated = await issuer.token(ada, {}, 'second');
    // Looked up a moment ago.
    expect(await auth.google(rotated)).toMatchObject(invalid);
    clock.push(30_000);
    const all = await Promise.all(Array.from({ length: 5 }, () => auth.google(rotated)));
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(issuer.keyReads).toBe(keyReads + 1);
    const unknown = (await issuer.token(ada)).replace(/^[^.]+/, base64({ alg: 'RS256', kid: 'third' }));
    for (let count = 0; count < 5; count += 1) expect(await auth.google(unknown)).toMatchObject(invalid);
    expect(issuer.keyReads).toBe(keyReads + 1);
    clock.push(30_000);
    for (let count = 0; count < 5; count += 1) expect(await auth.google(unknown)).toMatchObject(invalid);
    expect(issuer.keyReads).toBe(keyReads + 2);
  });

  it('says that it is the provider when that does not answer, and goes on with the keys that it has', async () => {
    clock.push(3_600_000);
    const token = await issuer.token(ada);
    await issuer.stop();
    const down = await auth.google(token);
    expect(down).toMatchObject({ status: 503, body: { code: 'unavailable', retry_after: 5 } });
    expect(down.headers.get('retry-after')).toBe('5');
    await issuer.resume();
    expect((await auth.google(token)).status).toBe(200);
    await issuer.stop();
    expect((await auth.google(token)).status).toBe(200);
    await issuer.resume();
  });

  it('tells nobody whose token it was, neither in answers nor in its own records', async () => {
    const token = await issuer.token(issuer.person('secret'), { aud: 'other' });
    expect(JSON.stringify((await auth.google(token)).body)).not.toContain(token.slice(0, 40));
    const entries = await auth.database.connection.collection('audit_entries').find({}).toArray();
    expect(entries.at(-1)).toMatchObject({
      action: 'session.started',
      result: 'failure',
      target: null,
      details: { method: 'google', reason: 'google_token_invalid' },
    });
    expect(JSON.stringify(entries)).not.toContain(token.slice(0, 40));
  });
});

describe('without a provider that can be used', () => {
  it('every route says that there is none', async () => {
    const auth = await AuthApp.start();
    const { accessToken: token } = await auth.signUp('ada');
    const verifier = 'v'.repeat(43);
    const calls = [
      auth.google('token'),
      auth.call('POST', '/auth/google/link', { token, body: { token: 'token', current_password: 'x' } }),
      auth.call('GET', `/auth/google/login?code_challenge=${'c'.repeat(43)}`),
      auth.call('GET', '/auth/google/callback?code=x&state=y'),
      auth.call('GET', '/auth/google/callback?error=access_denied'),
      auth.call('POST', '/auth/google/exchange', { body: { code: 'x', code_verifier: verifier } }),
    ];
    for (const answer of await Promise.all(calls)) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'google_not_configured' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    await auth.close();
  });

  it('the client id alone takes tokens, and no browser', async () => {
    const issuer = await GoogleIssuer.start();
    const { GOOGLE_ISSUER = '', GOOGLE_CLIENT_ID = '' } = issuer.env;
    const auth = await AuthApp.start({ env: { GOOGLE_ISSUER, GOOGLE_CLIENT_ID } });
    expect((await auth.google(await issuer.token(issuer.person('ada')))).status).toBe(200);
    expect((await auth.call('GET', `/auth/google/login?code_challenge=${'c'.repeat(43)}`)).status).toBe(503);
    await auth.close();
    await issuer.stop();
  });

  it('another issuer’s document, or none, is as no answer', async () => {
    const issuer = await GoogleIssuer.start();
    const token = await issuer.token(issuer.person('ada'));
    for (const GOOGLE_ISSUER of [issuer.url.replace('localhost', '127.0.0.1'), `${issuer.url}/elsewhere`]) {
      const auth = await AuthApp.start({ env: { ...issuer.env, GOOGLE_ISSUER } });
      expect(await auth.google(token)).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      expect((await auth.call('GET', `/auth/google/login?code_challenge=${'c'.repeat(43)}`)).status).toBe(503);
      await auth.close();
    }
    await issuer.stop();
  });
});

describe('the limit of Google sign-ins', () => {
  it('counts for an address, and for an identity wherever it comes from', async () => {
    const issuer = await GoogleIssuer.start();
    const env = { ...issuer.env, RATE_LIMIT_ENABLED: 'true', TRUSTED_PROXIES: '127.0.0.1' };
    const auth = await AuthApp.start({ env, clock: new ManualClock() });
    const [ada, bob] = [issuer.person('ada'), issuer.person('bob')];
    const from = async (address: string, person: GooglePerson): Promise<number> => {
      const headers = { 'x-forwarded-for': address };
      return (await auth.call('POST', '/auth/google', { body: { token: await issuer.token(person) }, headers })).status;
    };
    for (let count = 0; count < 5; count += 1) expect(await from(`192.0.2.${count}`, ada)).toBe(200);
    expect(await from('192.0.2.9', ada)).toBe(429);
    for (let count = 0; count < 5; count += 1) expect(await from('192.0.2.100', bob)).toBe(200);
    expect(await from('192.0.2.100', issuer.person('eve'))).toBe(429);
    await auth.close();
    await issuer.stop();
  });
});
