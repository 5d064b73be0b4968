import { UsersService } from '@devpocket/users';
import { type Answer, AuthApp, GOOGLE_APP, GOOGLE_CLIENT, GoogleIssuer, type GooglePerson, PASSWORD } from '@testing/auth';
import { ManualClock } from '@testing/kernel';
import { createHash, randomBytes } from 'node:crypto';

const MINUTE_MS = 60_000;
const random = (): string => randomBytes(32).toString('base64url');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');
const locationOf = ({ headers }: Pick<Answer<unknown>, 'headers'>): URL => new URL(headers.get('location') ?? 'none:');

/** A browser, and the app that opened it. */
class Browser {
  readonly verifier = random();
  /** As a browser sends it; '' when there is none. */
  cookie = '';

  constructor(
    private readonly auth: AuthApp,
    private readonly more: Readonly<Record<string, string>> = {},
  ) {}

  /** @returns the address at Google */
  async begin(query = `code_challenge=${sha256(this.verifier)}&code_challenge_method=S256`): Promise<URL> {
    const answer = await this.auth.call('GET', `/auth/google/login?${query}`, { headers: this.more });
    expect([answer.status, answer.body]).toEqual([302, {}]);
    this.keep(answer);
    return locationOf(answer);
  }

  /** Somebody signs in there. @returns the query that it sends the browser back with */
  async signIn(at: URL): Promise<string> {
    const answer = await fetch(at, { redirect: 'manual' });
    const back = locationOf(answer);
    expect(`${back.origin}${back.pathname}`).toBe('http://127.0.0.1/api/v1/auth/google/callback');
    return back.search;
  }

  /** @returns what the app is opened with */
  async come(search: string, auth = this.auth): Promise<URL> {
    const answer = await auth.call('GET', `/auth/google/callback${search}`, { headers: { cookie: `a=b; ${this.cookie}` } });
    expect(answer.status).toBe(302);
    this.keep(answer);
    const location = locationOf(answer);
    expect(location.href.startsWith(`${GOOGLE_APP}?`)).toBe(true);
    return location;
  }

  async whole(): Promise<string> {
    const end = await this.come(await this.signIn(await this.begin()));
    expect([...end.searchParams.keys()]).toEqual(['code']);
    return end.searchParams.get('code') ?? '';
  }

  exchange(code: string, verifier = this.verifier, auth = this.auth): Promise<Answer<Readonly<Record<string, unknown>>>> {
    return auth.call('POST', '/auth/google/exchange', { body: { code, code_verifier: verifier } });
  }

  private keep({ headers }: Answer<unknown>): void {
    const [set] = headers.getSetCookie();
    if (set !== undefined) this.cookie = set.split(';')[0] ?? '';
  }
}

describe('sign-in with Google in a browser', () => {
  const clock = new ManualClock(Date.parse('2026-11-26T12:00:00Z'));
  let issuer: GoogleIssuer;
  let auth: AuthApp;
  let beside: AuthApp;
  let number = 0;
  beforeAll(async () => {
    issuer = await GoogleIssuer.start();
    auth = await AuthApp.start({ clock, env: issuer.env });
    beside = await AuthApp.start({ clock, beside: auth });
  });
  afterAll(async () => {
    await beside.close();
    await auth.close();
    await issuer.stop();
  });

  const browses = (over: Readonly<Record<string, unknown>> = {}): GooglePerson => {
    const person = issuer.person(`surfer${(number += 1)}`);
    issuer.browses(person, over);
    return person;
  };
  const invalid = { status: 401, body: { code: 'google_code_invalid' } };
  const errorOf = (location: URL): string => {
    expect([...location.searchParams.keys()]).toEqual(['error']);
    return location.searchParams.get('error') ?? '';
  };
  const flows = () => auth.database.connection.collection('google_flows').find({}).toArray();

  it('goes there and back, and ends with a session of the app', async () => {
    const person = browses();
    const browser = new Browser(auth);
    const at = await browser.begin();
    expect(at.origin + at.pathname).toBe(`${issuer.url}/authorize`);
    expect(Object.fromEntries(at.searchParams)).toEqual({
      response_type: 'code',
      client_id: GOOGLE_CLIENT,
      redirect_uri: 'http://127.0.0.1/api/v1/auth/google/callback',
      scope: 'openid email profile',
      state: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      nonce: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      code_challenge_method: 'S256',
    });
    // Google gets a challenge of the server's own: the app's verifier would be no use there.
    expect(at.searchParams.get('code_challenge')).not.toBe(sha256(browser.verifier));
    const search = await browser.signIn(at);
    const code =
      (await browser.come(`${search}&scope=email&authuser=0&prompt=none&hd=example.com`)).searchParams.get('code') ?? '';
    expect(code).toMatch(/^[\w-]{43}$/);
    const kept = JSON.stringify(await flows());
    for (const secret of [code, at.searchParams.get('state') ?? '', browser.verifier]) expect(kept).not.toContain(secret);
    const answer = await browser.exchange(code);
    expect(answer).toMatchObject({ status: 200, body: { token_type: 'bearer', expires_in: 1800 } });
    const me = await auth.call('GET', '/auth/me', { token: String(answer.body.access_token) });
    expect(me.body).toMatchObject({ email: person.email, is_verified: true });
    expect((await auth.call('DELETE', '/users/me', { token: String(answer.body.access_token) })).status).toBe(202);
  });

  it('carries what has to be known in a cookie that no page can read', async () => {
    const answer = await auth.call('GET', `/auth/google/login?code_challenge=${sha256('x')}`);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^devpocket_google=[\w-]+\.[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/),
    ]);
    const browser = new Browser(auth);
    browses();
    await browser.whole();
    expect(browser.cookie).toBe('devpocket_google=');
  });

  it('has a cookie for https alone where the server is reached by it', async () => {
    for (const env of [{ PUBLIC_URL: 'https://dev.example.com' }, { GOOGLE_REDIRECT_URI: 'https://dev.example.com/callback' }]) {
      const secure = await AuthApp.start({ env: { ...issuer.env, ...env } });
      const answer = await secure.call('GET', `/auth/google/login?code_challenge=${sha256('x')}`);
      expect(answer.headers.getSetCookie()[0]).toMatch(/^__Host-devpocket_google=.*; Path=\/; .*HttpOnly; SameSite=Lax; Secure$/);
      await secure.close();
    }
  });

  it.each([
    ['no challenge', ''],
    ['an empty one', 'code_challenge='],
    ['a short one', `code_challenge=${'c'.repeat(42)}`],
    ['one that is no base64url', `code_challenge=${'c'.repeat(42)}%2B`],
    ['two', `code_challenge=${'c'.repeat(43)}&code_challenge=${'d'.repeat(43)}`],
    ['a plain one', `code_challenge=${'c'.repeat(43)}&code_challenge_method=plain`],
  ])('does not begin with %s', async (_what, query) => {
    const answer = await auth.call('GET', `/auth/google/login?${query}`);
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_error' } });
    expect(answer.headers.getSetCookie()).toEqual([]);
  });

  describe('a code', () => {
    it('is exchanged once, though many try at once on two servers', async () => {
      browses();
      const browser = new Browser(auth);
      const code = await browser.whole();
      const all = Array.from({ length: 10 }, (_, n) => browser.exchange(code, browser.verifier, n % 2 === 0 ? auth : beside));
      const answers = (await Promise.all(all)).map(({ status }) => status).sort();
      expect(answers).toEqual([200, ...Array.from({ length: 9 }, () => 401)]);
      expect(await browser.exchange(code)).toMatchObject(invalid);
    });

    it('is of use only to the app that began, and to nobody after another has tried', async () => {
      browses();
      const browser = new Browser(auth);
      const code = await browser.whole();
      expect(await browser.exchange(code, random())).toMatchObject(invalid);
      expect(await browser.exchange(code)).toMatchObject(invalid);
    });

    it('lasts a minute', async () => {
      browses();
      const [first, second] = [new Browser(auth), new Browser(auth)];
      const [one, two] = [await first.whole(), await second.whole()];
      clock.push(MINUTE_MS - 1);
      expect((await first.exchange(one)).status).toBe(200);
      clock.push(1);
      expect(await second.exchange(two)).toMatchObject(invalid);
    });

    it('is of no use once the account was shut out, or its sessions ended', async () => {
      const person = browses();
      const browser = new Browser(auth);
      const code = await browser.whole();
      const users = auth.app.get(UsersService);
      const { id = '' } = (await users.findByName(person.email)) ?? {};
      await users.changeAccount(id, { isActive: false });
      expect(await browser.exchange(code)).toMatchObject(invalid);
      await users.changeAccount(id, { isActive: true });
      const again = await browser.whole();
      await users.changeAccount(id, { isActive: false });
      await users.changeAccount(id, { isActive: true });
      expect(await browser.exchange(again)).toMatchObject(invalid);
    });

    it.each([
      ['an unknown code', { code: random(), code_verifier: random() }, 401],
      ['no code', { code_verifier: random() }, 422],
      ['an operator', { code: { $ne: null }, code_verifier: random() }, 422],
      ['no verifier', { code: random() }, 422],
      ['a short verifier', { code: random(), code_verifier: 'x' }, 422],
    ])('that is %s is refused', async (_what, body, status) => {
      expect((await auth.call('POST', '/auth/google/exchange', { body })).status).toBe(status);
    });
  });

  describe('a state', () => {
    const stateInvalid = 'google_state_invalid';

    it('of another browser is none: nobody is led into somebody else’s account', async () => {
      browses();
      const [mallory, victim] = [new Browser(auth), new Browser(auth)];
      const search = await mallory.signIn(await mallory.begin());
      expect(errorOf(await victim.come(search))).toBe(stateInvalid);
      await victim.begin();
      expect(errorOf(await victim.come(search))).toBe(stateInvalid);
      // It was not used up by that.
      expect((await mallory.come(search)).searchParams.get('code')).toMatch(/^[\w-]{43}$/);
    });

    it('is used once, also with the cookie that was cleared, on any server', async () => {
      browses();
      const browser = new Browser(auth);
      const search = await browser.signIn(await browser.begin());
      const { cookie } = browser;
      const ends = await Promise.all(
        [auth, beside, auth, beside].map((server) => {
          const same = new Browser(server);
          same.cookie = cookie;
          return same.come(search);
        }),
      );
      expect(ends.filter(({ searchParams }) => searchParams.has('code'))).toHaveLength(1);
      browser.cookie = cookie;
      expect(errorOf(await browser.come(search))).toBe(stateInvalid);
    });

    it('is known on a server that did not begin it', async () => {
      browses();
      const browser = new Browser(auth);
      const search = await browser.signIn(await browser.begin());
      const code = (await browser.come(search, beside)).searchParams.get('code') ?? '';
      expect((await browser.exchange(code)).status).toBe(200);
    });

    it('lasts ten minutes', async () => {
      browses();
      const browser = new Browser(auth);
      const search = await browser.signIn(await browser.begin());
      clock.push(10 * MINUTE_MS);
      expect(errorOf(await browser.come(search))).toBe(stateInvalid);
    });

    it('in a cookie that was made up is none', async () => {
      browses();
      const browser = new Browser(auth);
      const search = await browser.signIn(await browser.begin());
      const [name = '', value = ''] = browser.cookie.split('=');
      const [payload = '', signature = ''] = value.split('.');
      const flow = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
      const other = Buffer.from(JSON.stringify({ ...flow, codeChallenge: sha256('mallory') })).toString('base64url');
      for (const forged of [`${other}.${signature}`, other, `${payload}.`, payload, '', '.', `${payload}.${sha256('x')}`]) {
        browser.cookie = `${name}=${forged}`;
        expect([forged, errorOf(await browser.come(search))]).toEqual([forged, stateInvalid]);
      }
    });

    it.each([
      ['nothing', ''],
      ['no state', '?code=x'],
      ['no code', '?state=x'],
      ['an empty code', '?code=&state=x'],
      ['two codes', '?code=x&code=y&state=x'],
      ['two states', '?code=x&state=x&state=y'],
      ['an error nobody knows', '?error=https://evil.example.com'],
    ])('is none with %s', async (_what, search) => {
      expect(errorOf(await new Browser(auth).come(search))).toBe(stateInvalid);
    });
  });

  it('ends at the app of the settings and nowhere else', async () => {
    browses();
    const browser = new Browser(auth, { 'x-forwarded-host': 'evil.example.com', 'x-forwarded-proto': 'https' });
    const evil = 'https://evil.example.com';
    const names = ['redirect_uri', 'redirect', 'next', 'return_to', 'callbackURL'];
    for (const name of [...names, 'state']) {
      const refused = await auth.call('GET', `/auth/google/login?code_challenge=${sha256(browser.verifier)}&${name}=${evil}`);
      expect(refused).toMatchObject({ status: 422, body: { errors: [{ field: name, code: 'unknown_field' }] } });
    }
    const at = await browser.begin();
    expect(at.href).not.toContain('evil');
    // Google may send more than is asked for.
    const end = await browser.come(`${await browser.signIn(at)}&${names.map((name) => `${name}=${evil}`).join('&')}`);
    expect(end.href).toMatch(/^devpocket:\/\/signed-in\?code=[\w-]{43}$/);
  });

  it('keeps what the app’s address has already', async () => {
    const GOOGLE_SUCCESS_REDIRECT = 'https://app.example.com/in?from=google';
    const other = await AuthApp.start({ env: { ...issuer.env, GOOGLE_SUCCESS_REDIRECT } });
    const answer = await other.call('GET', '/auth/google/callback?error=access_denied');
    expect(answer.headers.get('location')).toBe('https://app.example.com/in?from=google&error=access_denied');
    await other.close();
  });

  describe('tells the app what is wrong', () => {
    const ended = async (): Promise<string> => {
      const browser = new Browser(auth);
      return errorOf(await browser.come(await browser.signIn(await browser.begin())));
    };

    it('when the person did not want to', async () => {
      expect(errorOf(await new Browser(auth).come('?error=access_denied&state=x'))).toBe('access_denied');
    });

    it('when the address is somebody’s who has not shown that it is theirs', async () => {
      const person = browses();
      await auth.call('POST', '/auth/register', {
        body: { username: `owner${number}`, email: person.email, password: PASSWORD },
      });
      expect(await ended()).toBe('google_link_required');
    });

    it.each<[string, Readonly<Record<string, unknown>>]>([
      ['an ID token for another nonce', { nonce: 'other' }],
      ['an ID token for another client', { aud: 'other' }],
      ['an ID token with an address that was not checked', { email_verified: false }],
    ])('when Google gives %s', async (_what, over) => {
      browses(over);
      expect(await ended()).toBe('google_token_invalid');
    });

    it.each<[string, number, object, string]>([
      ['refuses its own code', 400, { error: 'invalid_grant' }, 'google_token_invalid'],
      ['is broken', 500, {}, 'unavailable'],
      ['gives no tokens', 200, { token_type: 'Bearer' }, 'unavailable'],
    ])('when Google %s', async (_what, statusCode, body, error) => {
      browses();
      issuer.server.service.once('beforeResponse', (response: { statusCode: number; body: object }) => {
        Object.assign(response, { statusCode, body });
      });
      expect(await ended()).toBe(error);
    });

    it('when Google does not answer', async () => {
      browses();
      const browser = new Browser(auth);
      const search = await browser.signIn(await browser.begin());
      await issuer.stop();
      expect(errorOf(await browser.come(search))).toBe('unavailable');
      const fresh = await AuthApp.start({ env: issuer.env });
      expect(await fresh.call('GET', `/auth/google/login?code_challenge=${sha256('x')}`)).toMatchObject({
        status: 503,
        body: { code: 'unavailable', retry_after: 5 },
      });
      await fresh.close();
      await issuer.resume();
    });
  });

  it('asks for what the ID token does not say, of the same person alone', async () => {
    const askedWith: unknown[] = [];
    const say = (person: object): unknown =>
      issuer.server.service.once(
        'beforeUserinfo',
        (response: { body: object }, request: { headers: { authorization?: string }; url?: string }) => {
          askedWith.push(request.url, request.headers.authorization?.slice(0, 7));
          response.body = person;
        },
      );
    const nothing = { email: undefined, email_verified: undefined, name: undefined, picture: undefined };
    const person = browses(nothing);
    say(person);
    const browser = new Browser(auth);
    const { body } = await browser.exchange(await browser.whole());
    const me = await auth.call('GET', '/auth/me', { token: String(body.access_token) });
    expect(me.body).toMatchObject({ email: person.email, full_name: person.name });
    say({ ...person, sub: 'other' });
    expect(errorOf(await browser.come(await browser.signIn(await browser.begin())))).toBe('google_token_invalid');
    // The access token is in no address.
    expect(askedWith).toEqual(['/userinfo', 'Bearer ', '/userinfo', 'Bearer ']);
  });
});
