import { NO_ORIGIN } from '@devpocket/http';
import { UsersService } from '@devpocket/users';
import { type Answer, AuthApp, GoogleIssuer, type GooglePerson, PASSWORD, type SignedUp } from '@testing/auth';
import { ManualClock } from '@testing/kernel';
import { MailServer } from '@testing/mail';
import { AccountRemover, REQUEST_MS } from './account-remover';
import { AccountService } from './account.service';
import { type Admission } from './admission.repository';
import { GoogleAccountsService } from './google-accounts.service';
import { OwnerCheck } from './owner-check';
import { RegistrationGate } from './registration-gate';
import { RegistrationService } from './registration.service';

type Json = Readonly<Record<string, unknown>>;

const NEXT_PASSWORD = 'Another-Horse-8';
const ALL = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);

/** Calls of accounts, with and without Google. */
class Accounts {
  constructor(
    readonly auth: AuthApp,
    private readonly issuer: GoogleIssuer,
  ) {}

  async google(person: GooglePerson, over: Json = {}): Promise<Answer<Json>> {
    return this.auth.google(await this.issuer.token(person, over));
  }

  async token(person: GooglePerson): Promise<string> {
    const { status, body } = await this.google(person);
    if (status !== 200) throw new Error(`No sign-in: ${JSON.stringify(body)}`);
    return String(body.access_token);
  }

  async me(token: string): Promise<Json> {
    return (await this.auth.call('GET', '/auth/me', { token })).body;
  }

  /** The id of the account that the person gets into. */
  async idOf(person: GooglePerson): Promise<string> {
    return String((await this.me(await this.token(person))).id);
  }

  async link(token: string, person: GooglePerson, password?: string): Promise<Answer<Json>> {
    const body = { token: await this.issuer.token(person), ...(password === undefined ? {} : { current_password: password }) };
    return this.auth.call('POST', '/auth/google/link', { token, body });
  }

  move(token: string, email: string): Promise<Answer<Json>> {
    return this.auth.call('PATCH', '/users/me', { token, body: { email, current_password: PASSWORD } });
  }

  actions(userId: string): Promise<readonly unknown[]> {
    const entries = this.auth.database.connection
      .collection('audit_entries')
      .find({ target: `user:${userId}` })
      .sort({ _id: 1 });
    return entries.toArray().then((all) => all.map((entry) => entry.action as unknown));
  }
}

/** Lets something happen once between a step and what follows it. */
function stopAt(on: object, step: string, happens: () => Promise<void>): void {
  const original = Reflect.get(on, step) as (...args: unknown[]) => Promise<unknown>;
  Reflect.set(on, step, async (...args: unknown[]) => {
    Reflect.set(on, step, original);
    const done = await original.apply(on, args);
    await happens();
    return done;
  });
}

const linkRequired = { status: 400, body: { code: 'google_link_required' } };
const invalid = { status: 401, body: { code: 'google_token_invalid' } };

describe('accounts of people whom Google knows', () => {
  const clock = new ManualClock(Date.parse('2026-11-26T12:00:00Z'));
  let issuer: GoogleIssuer;
  let auth: AuthApp;
  let beside: AuthApp;
  let accounts: Accounts;
  let number = 0;
  beforeAll(async () => {
    issuer = await GoogleIssuer.start();
    auth = await AuthApp.start({ clock, env: issuer.env });
    beside = await AuthApp.start({ clock, beside: auth });
    accounts = new Accounts(auth, issuer);
  });
  afterAll(async () => {
    await beside.close();
    await auth.close();
    await issuer.stop();
  });

  const person = (over: Partial<GooglePerson> = {}): GooglePerson => issuer.person(`person${(number += 1)}`, over);
  const signUp = (): Promise<SignedUp> => auth.signUp(`member${(number += 1)}`);
  const users = (filter: object): Promise<number> => auth.database.connection.collection('users').countDocuments(filter);

  it('are made by the first sign-in, and are the same at every other', async () => {
    const ada = issuer.person('ada.lovelace+dev', { name: ' Ada Lovelace ' });
    const token = await accounts.token(ada);
    expect(await accounts.me(token)).toEqual({
      id: expect.any(String) as unknown,
      username: 'ada_lovelace',
      email: 'ada.lovelace+dev@example.com',
      full_name: 'Ada Lovelace',
      is_active: true,
      is_verified: true,
      avatar_url: ada.picture,
      subscription_plan: 'free',
      role: 'user',
      preferred_region: null,
      created_at: clock.now().toISOString(),
      last_login: clock.now().toISOString(),
    });
    const id = await accounts.idOf(ada);
    expect(id).toBe((await accounts.me(token)).id);
    expect(await accounts.actions(id)).toEqual(['user.registered', 'session.started', 'session.started']);
    const record = await auth.database.connection.collection('users').findOne({ username: 'ada_lovelace' });
    expect(record).toMatchObject({ password_hash: null, email_proven: true });
    for (const path of ['/auth/me', '/users/me', '/auth/sessions', '/users/me/audit']) {
      const answer = await auth.call('GET', path, { token });
      expect([path, answer.status, JSON.stringify(answer.body).includes(ada.sub)]).toEqual([path, 200, false]);
    }
  });

  it('take no name or picture that an account here could not have', async () => {
    const token = await accounts.token(person({ name: 'Eve\nAdmin', picture: 'javascript:alert(1)' }));
    expect(await accounts.me(token)).toMatchObject({ full_name: null, avatar_url: null });
  });

  it('have a name of their own, however many want the same', async () => {
    const same = ALL(6).map((n) => issuer.person(`grace@${n}`, { email: `grace@host${n}.example.com` }));
    const tokens = await Promise.all(same.map((one) => accounts.token(one)));
    const names = await Promise.all(tokens.map(async (token) => String((await accounts.me(token)).username)));
    expect(new Set(names).size).toBe(6);
    expect(names.filter((name) => name === 'grace')).toHaveLength(1);
    for (const name of names) expect(name).toMatch(/^grace(-[0-9a-f]{6})?$/);
  });

  it('are one for one person, though many first sign-ins come to two servers at once', async () => {
    const one = person();
    const token = await issuer.token(one);
    const answers = await Promise.all(ALL(12).map((n) => (n % 2 === 0 ? auth : beside).google(token)));
    expect(answers.map(({ status }) => status)).toEqual(ALL(12).map(() => 200));
    const ids = await Promise.all(answers.map(async ({ body }) => (await accounts.me(String(body.access_token))).id));
    expect(new Set(ids).size).toBe(1);
    expect(await users({ email: one.email })).toBe(1);
  });

  it('are one for one person who shows two addresses at once', async () => {
    for (const turn of ALL(2)) {
      const one = person();
      const other = { ...one, email: `other${turn}-${one.email}` };
      const ids = await Promise.all(ALL(6).map((n) => accounts.idOf(n % 2 === 0 ? one : other)));
      expect(new Set(ids).size).toBe(1);
      expect((await users({ email: one.email })) + (await users({ email: other.email }))).toBe(1);
    }
  });

  it('are found by their address while they are being made, by the very person', async () => {
    const one = person();
    const profile = { subject: one.sub, email: one.email, fullName: null, avatarUrl: null };
    const meanwhile: string[] = [];
    stopAt(auth.app.get(RegistrationService), 'registerProven', async () => {
      meanwhile.push((await auth.app.get(GoogleAccountsService, { strict: false }).of(profile, NO_ORIGIN)).user.id);
    });
    expect([await accounts.idOf(one)]).toEqual(meanwhile);
  });

  it('belong to the person, not to the address', async () => {
    const ada = person();
    const id = await accounts.idOf(ada);
    const moved = { ...ada, email: `moved-${ada.email}` };
    expect(await accounts.idOf(moved)).toBe(id);
    expect(await accounts.me(await accounts.token(moved))).toMatchObject({ email: ada.email });
    // Nobody else has been there with this address.
    const other = { ...person(), email: moved.email };
    expect(await accounts.idOf(other)).not.toBe(id);
    expect(await accounts.idOf(moved)).toBe(id);
  });

  it('have no password that fits, and a lock of passwords does not keep Google out', async () => {
    const ada = person();
    const token = await accounts.token(ada);
    const { username } = await accounts.me(token);
    for (const count of ALL(6)) {
      const { body } = await auth.login(String(username), 'Wrong-Horse-7');
      expect(body.code).toBe(count < 5 ? 'invalid_credentials' : 'account_locked');
    }
    expect((await accounts.google(ada)).status).toBe(200);
    expect(await accounts.me(token)).toMatchObject({ username });
  });

  it('that are deactivated are told from a token that is none by nothing', async () => {
    const [ada, bob] = [person(), await signUp()];
    const token = await accounts.token(ada);
    const id = String((await accounts.me(token)).id);
    const without = ({ request_id: _, ...body }: Json): Json => body;
    const none = await auth.google('token');
    for (const one of [id, bob.id]) await auth.app.get(UsersService).changeAccount(one, { isActive: false });
    for (const one of [ada, person({ email: `${bob.username}@example.com` })]) {
      const answer = await accounts.google(one);
      expect([answer.status, without(answer.body)]).toEqual([none.status, without(none.body)]);
    }
    await auth.app.get(UsersService).changeAccount(id, { isActive: true });
    expect(await accounts.idOf(ada)).toBe(id);
  });

  describe('and somebody who was there first', () => {
    it('keeps them out, and has no way in with them', async () => {
      const victim = person();
      const body = { username: `first${number}`, email: victim.email.toUpperCase(), password: PASSWORD };
      expect((await auth.call('POST', '/auth/register', { body })).status).toBe(201);
      expect(await accounts.google(victim)).toMatchObject(linkRequired);
      const mallory = String((await auth.login(`first${number}`)).body.access_token);
      // Neither a verification that nobody had to do, nor one by an administrator, is a proof.
      expect(await accounts.me(mallory)).toMatchObject({ is_verified: true });
      const id = String((await accounts.me(mallory)).id);
      await auth.app.get(UsersService).changeAccount(id, { isVerified: true });
      expect(await accounts.google(victim)).toMatchObject(linkRequired);
      // Nor does an identity of their own make the address theirs.
      expect((await accounts.link(mallory, person(), PASSWORD)).status).toBe(200);
      expect(await accounts.google(victim)).toMatchObject(linkRequired);
    });

    it('cannot lead them in by moving to their address', async () => {
      const [victim, mallory] = [person(), await signUp()];
      const own = person({ email: `${mallory.username}@example.com` });
      expect((await accounts.link(mallory.accessToken, own, PASSWORD)).status).toBe(200);
      expect(await accounts.idOf(own)).toBe(mallory.id);
      expect((await accounts.move(mallory.accessToken, victim.email)).body).toMatchObject({ email: victim.email });
      expect(await accounts.google(victim)).toMatchObject(linkRequired);
      expect(await accounts.idOf(own)).toBe(mallory.id);
      expect(await accounts.google(victim)).toMatchObject(linkRequired);
    });

    it('cannot take what is joined to another account', async () => {
      const [ada, mallory] = [person(), await signUp()];
      const id = await accounts.idOf(ada);
      expect(await accounts.link(mallory.accessToken, ada, PASSWORD)).toMatchObject({
        status: 400,
        body: { code: 'google_identity_taken' },
      });
      expect(await accounts.idOf(ada)).toBe(id);
    });
  });

  describe('link', () => {
    it('another identity by the password, again too', async () => {
      const [bob, google] = [await signUp(), person()];
      for (const _ of ALL(2)) {
        expect(await accounts.link(bob.accessToken, google, PASSWORD)).toMatchObject({ status: 200 });
      }
      expect(await accounts.idOf(google)).toBe(bob.id);
      expect((await auth.login(bob.username)).status).toBe(200);
      expect((await accounts.actions(bob.id)).filter((action) => action === 'user.google_linked')).toHaveLength(1);
    });

    it('and have shown by it that their address is theirs, when it is the same', async () => {
      const bob = await signUp();
      const [own, other] = [person({ email: `${bob.username}@example.com` }), person()];
      expect((await accounts.link(bob.accessToken, own, PASSWORD)).status).toBe(200);
      // Google has given the address to somebody else: proven on both sides.
      expect(await accounts.idOf({ ...other, email: own.email })).toBe(bob.id);
    });

    it('one identity to one account, though two want it at once', async () => {
      const [bob, eve, google] = [await signUp(), await signUp(), person()];
      const answers = await Promise.all([bob, eve, bob, eve].map((one) => accounts.link(one.accessToken, google, PASSWORD)));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 400, 400]);
    });

    it('nothing with a wrong password, which counts, or none', async () => {
      const [bob, google] = [await signUp(), person()];
      expect(await accounts.link(bob.accessToken, google)).toMatchObject({
        status: 422,
        body: { errors: [{ field: 'current_password', code: 'required' }] },
      });
      for (const count of ALL(6)) {
        expect(await accounts.link(bob.accessToken, google, 'Wrong-Horse-7')).toMatchObject({
          status: 403,
          body: { code: count < 5 ? 'wrong_password' : 'account_locked' },
        });
      }
      expect(await accounts.link(bob.accessToken, google, PASSWORD)).toMatchObject({ status: 403 });
      expect(await accounts.idOf(google)).not.toBe(bob.id);
    });

    it('nothing by a token that is none, which costs no try', async () => {
      const bob = await signUp();
      const unchecked = person({ email_verified: false });
      for (const _ of ALL(6)) expect(await accounts.link(bob.accessToken, unchecked, 'Wrong-Horse-7')).toMatchObject(invalid);
      expect((await auth.login(bob.username)).status).toBe(200);
    });

    it('without a password within five minutes of a Google sign-in, in that very session', async () => {
      const [ada, second, third] = [person(), person(), person()];
      const token = await accounts.token(ada);
      const id = (await accounts.me(token)).id;
      clock.push(5 * 60_000 - 1);
      expect((await accounts.link(token, second)).status).toBe(200);
      clock.push(1);
      const needed = { status: 403, body: { code: 'google_sign_in_needed' } };
      expect(await accounts.link(token, third)).toMatchObject(needed);
      const fresh = await accounts.token(second);
      expect((await accounts.me(fresh)).id).toBe(id);
      expect(await accounts.link(token, third)).toMatchObject(needed);
      expect(await accounts.link(token, third, 'Any-Password-1')).toMatchObject(needed);
      expect((await accounts.link(fresh, third)).status).toBe(200);
      for (const one of [ada, second, third]) expect(await accounts.idOf(one)).toBe(id);
    });
  });

  describe('end', () => {
    const remove = (token: string, body?: object) =>
      auth.call('DELETE', '/users/me', { token, ...(body === undefined ? {} : { body }) });

    it('without a password within five minutes of a Google sign-in, and leave nothing', async () => {
      const ada = person();
      const stale = await accounts.token(ada);
      const id = String((await accounts.me(stale)).id);
      clock.push(5 * 60_000);
      expect(await remove(stale)).toMatchObject({ status: 403, body: { code: 'google_sign_in_needed' } });
      expect(await remove(stale, { password: PASSWORD })).toMatchObject({ status: 403 });
      expect(await remove(await accounts.token(ada), {})).toMatchObject({ status: 202 });
      expect(await accounts.google(ada)).toMatchObject(invalid);
      clock.push(REQUEST_MS);
      await auth.app.get(AccountRemover, { strict: false }).turn();
      expect(await auth.database.connection.collection('google_identities').countDocuments({ subject: ada.sub })).toBe(0);
      expect(await accounts.idOf(ada)).not.toBe(id);
    });

    it('only by the password where there is one, however fresh the sign-in', async () => {
      const [bob, google] = [await signUp(), person()];
      expect((await accounts.link(bob.accessToken, google, PASSWORD)).status).toBe(200);
      const token = await accounts.token(google);
      for (const body of [undefined, {}]) {
        expect(await remove(token, body)).toMatchObject({ status: 422, body: { errors: [{ field: 'password' }] } });
      }
      expect(await remove(token, { password: 'Wrong-Horse-7' })).toMatchObject({ status: 403, body: { code: 'wrong_password' } });
      expect((await remove(token, { password: PASSWORD })).status).toBe(202);
    });
  });

  it('are not joined by a link that was under way when the password was set anew', async () => {
    const [bob, google] = [await signUp(), person()];
    stopAt(auth.app.get(OwnerCheck, { strict: false }), 'byEither', () =>
      auth.app.get(AccountService, { strict: false }).setPassword(bob.id, NEXT_PASSWORD),
    );
    await accounts.link(bob.accessToken, google, PASSWORD);
    expect(await accounts.idOf(google)).not.toBe(bob.id);
  });

  it('part from identities with another address when an administrator sets the password', async () => {
    const bob = await signUp();
    const [own, other] = [person({ email: `${bob.username}@example.com` }), person()];
    for (const one of [own, other]) expect((await accounts.link(bob.accessToken, one, PASSWORD)).status).toBe(200);
    await auth.app.get(AccountService, { strict: false }).setPassword(bob.id, NEXT_PASSWORD);
    expect(await accounts.idOf(own)).toBe(bob.id);
    expect(await accounts.idOf(other)).not.toBe(bob.id);
  });
});

describe('accounts with a mail server', () => {
  let issuer: GoogleIssuer;
  let mails: MailServer;
  let auth: AuthApp;
  let accounts: Accounts;
  let number = 0;
  beforeAll(async () => {
    issuer = await GoogleIssuer.start();
    mails = await MailServer.start();
    auth = await AuthApp.start({ env: { ...issuer.env, SMTP_URL: mails.url } });
    accounts = new Accounts(auth, issuer);
  });
  afterAll(async () => {
    await auth.close();
    await mails.close();
    await issuer.stop();
  });

  const signUp = (): Promise<SignedUp> => auth.signUp(`reader${(number += 1)}`);
  const addressOf = ({ username }: SignedUp): string => `${username}@example.com`;
  const codeFor = async (to: string, subject: RegExp): Promise<string> =>
    /^ {4}(\S+)$/m.exec((await mails.next(to, subject)).text)?.[1] ?? '';
  const verify = async (to: string): Promise<void> => {
    const answer = await auth.call('POST', '/auth/verify-email', { body: { token: await codeFor(to, /Verify/) } });
    expect(answer.status).toBe(200);
  };
  const reset = async (email: string): Promise<void> => {
    expect((await auth.call('POST', '/auth/forgot-password', { body: { email } })).status).toBe(202);
    const body = { token: await codeFor(email, /new password/), new_password: NEXT_PASSWORD };
    expect((await auth.call('POST', '/auth/reset-password', { body })).status).toBe(200);
  };

  it('are verified by Google, at once', async () => {
    expect(await accounts.me(await accounts.token(issuer.person('grace')))).toMatchObject({ is_verified: true });
    const bob = await signUp();
    expect(await accounts.me(bob.accessToken)).toMatchObject({ is_verified: false });
    const link = await accounts.link(bob.accessToken, issuer.person('bob', { email: addressOf(bob) }), PASSWORD);
    expect(link.status).toBe(200);
    expect(await accounts.me(bob.accessToken)).toMatchObject({ is_verified: true });
  });

  it('are joined by the address only after it was proven here, and its owner is told', async () => {
    const bob = await signUp();
    const google = issuer.person('bob', { email: addressOf(bob) });
    expect(await accounts.google(google)).toMatchObject(linkRequired);
    await verify(addressOf(bob));
    expect(await accounts.idOf(google)).toBe(bob.id);
    expect((await mails.next(addressOf(bob), /Google account was linked/)).text).toContain(addressOf(bob));
    expect(await accounts.actions(bob.id)).toContain('user.google_linked');
  });

  it('are not joined by an address that waits to be proven', async () => {
    const [mallory, victim] = [await signUp(), issuer.person(`victim${(number += 1)}`)];
    await verify(addressOf(mallory));
    expect((await accounts.move(mallory.accessToken, victim.email)).status).toBe(200);
    expect(await accounts.idOf(victim)).not.toBe(mallory.id);
    // By now it is somebody's who has shown that it is theirs.
    const token = await codeFor(victim.email, /Verify/);
    expect(await auth.call('POST', '/auth/verify-email', { body: { token } })).toMatchObject({
      status: 400,
      body: { code: 'email_taken' },
    });
  });

  it('tell their address what was linked', async () => {
    const [bob, google] = [await signUp(), issuer.person(`linked${(number += 1)}`)];
    expect((await accounts.link(bob.accessToken, google, PASSWORD)).status).toBe(200);
    expect((await mails.next(addressOf(bob), /Google account was linked/)).text).toContain(google.email);
  });

  it('are taken back with a new password: who has another address is parted, who was there first has nothing left', async () => {
    const mallory = await signUp();
    const victim = issuer.person('victim', { email: addressOf(mallory) });
    const own = issuer.person(`mallory${number}`);
    expect((await accounts.link(mallory.accessToken, own, PASSWORD)).status).toBe(200);
    expect(await accounts.google(victim)).toMatchObject(linkRequired);
    await reset(victim.email);
    expect(await accounts.idOf(victim)).toBe(mallory.id);
    expect((await auth.login(mallory.username)).status).toBe(401);
    expect((await auth.call('GET', '/auth/me', { token: mallory.accessToken })).status).toBe(401);
    const parted = await accounts.idOf(own);
    expect(parted).not.toBe(mallory.id);
    // Its own address now: it has an account of its own with it.
    expect(await accounts.idOf(own)).toBe(parted);
  });

  it('keep the identity with their own address through a reset, and a later move', async () => {
    const bob = await signUp();
    const google = issuer.person('bob', { email: addressOf(bob) });
    await verify(addressOf(bob));
    expect(await accounts.idOf(google)).toBe(bob.id);
    await reset(addressOf(bob));
    const token = await accounts.token({ ...google, email: `elsewhere-${google.email}` });
    expect((await accounts.me(token)).id).toBe(bob.id);
    const body = { email: `moved-${addressOf(bob)}`, current_password: NEXT_PASSWORD };
    expect((await auth.call('PATCH', '/users/me', { token, body })).status).toBe(200);
    await verify(`moved-${addressOf(bob)}`);
    expect(await accounts.idOf(google)).toBe(bob.id);
  });

  it('without a password get one by mail', async () => {
    const ada = issuer.person(`ada${(number += 1)}`);
    const id = await accounts.idOf(ada);
    await reset(ada.email);
    expect((await auth.login(ada.email, NEXT_PASSWORD)).status).toBe(200);
    expect(await accounts.idOf(ada)).toBe(id);
  });
});

describe('a server that takes no further accounts', () => {
  const started = async (admission: Admission): Promise<[AuthApp, GoogleIssuer, Accounts]> => {
    const issuer = await GoogleIssuer.start();
    const auth = await AuthApp.start({ env: issuer.env });
    await auth.app.get(RegistrationGate).join({ admission: () => Promise.resolve(admission) });
    return [auth, issuer, new Accounts(auth, issuer)];
  };
  const closed = { status: 403, body: { code: 'registration_closed' } };

  it('makes none for Google, and lets in who has one', async () => {
    const [auth, issuer, accounts] = await started('closed');
    expect(await accounts.google(issuer.person('ada'))).toMatchObject(closed);
    expect(await auth.database.connection.collection('users').countDocuments({})).toBe(0);
    await auth.close();
    await issuer.stop();
  });

  it('gives its one place to one person, also to one who comes twice at once', async () => {
    const [auth, issuer, accounts] = await started('sole');
    const [ada, eve] = [issuer.person('ada'), issuer.person('eve')];
    const answers = await Promise.all(ALL(6).map(() => accounts.google(ada)));
    expect(answers.map(({ status }) => status)).toEqual(ALL(6).map(() => 200));
    expect(await accounts.google(eve)).toMatchObject(closed);
    expect((await accounts.google(ada)).status).toBe(200);
    await auth.close();
    await issuer.stop();
  });
});
