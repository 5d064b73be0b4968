import { Authenticator } from '@devpocket/access';
import { AuthApp, PASSWORD, type SignedUp } from '@testing/auth';
import { MailServer, type ReceivedMail } from '@testing/mail';
import { ManualClock } from '@testing/kernel';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const NEXT_PASSWORD = 'Another-Horse-8';

const codeIn = ({ text }: ReceivedMail): string => /^ {4}(\S+)$/m.exec(text)?.[1] ?? '';

describe('with a mail server', () => {
  const clock = new ManualClock(Date.parse('2026-11-26T12:00:00Z'));
  let mails: MailServer;
  let auth: AuthApp;
  let number = 0;
  beforeAll(async () => {
    mails = await MailServer.start();
    auth = await AuthApp.start({ clock, env: { SMTP_URL: mails.url, PUBLIC_URL: 'https://dev.example.com/' } });
  });
  afterAll(async () => {
    await auth.close();
    await mails.close();
  });

  const signUp = (): Promise<SignedUp> => auth.signUp(`mail${(number += 1)}`);
  const addressOf = ({ username }: SignedUp): string => `${username}@example.com`;
  const post = (path: string, body: object, token?: string) =>
    auth.call('POST', path, { body, ...(token === undefined ? {} : { token }) });
  const me = async ({ accessToken }: SignedUp): Promise<Record<string, unknown>> =>
    (await auth.call('GET', '/auth/me', { token: accessToken })).body;
  const verify = (code: string) => post('/auth/verify-email', { token: code });
  const verified = async (): Promise<SignedUp> => {
    const user = await signUp();
    const mail = await mails.next(addressOf(user), /Verify/);
    expect((await verify(codeIn(mail))).status).toBe(200);
    return user;
  };
  const invalid = { status: 400, body: { code: 'token_invalid' } };

  describe('an address', () => {
    it('is verified by the code that was sent to it, once', async () => {
      const user = await signUp();
      expect(await me(user)).toMatchObject({ is_verified: false });
      const mail = await mails.next(addressOf(user), /Verify/);
      const code = codeIn(mail);
      expect(code).toMatch(/^[\w-]{43}$/);
      expect(mail.text).toContain(`https://dev.example.com/verify-email#token=${code}`);
      expect(mail.html).toContain(`<code>${code}</code>`);
      expect(await verify(`${code.slice(1)}x`)).toMatchObject(invalid);
      const answers = await Promise.all([verify(code), verify(code), verify(code)]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
      expect(await me(user)).toMatchObject({ is_verified: true });
      const kept = await auth.database.connection.collection('mail_tokens').find({}).toArray();
      expect(JSON.stringify(kept)).not.toContain(code);
    });

    it('is sent another code when asked, a few times an hour, until it is verified', async () => {
      const user = await signUp();
      const first = codeIn(await mails.next(addressOf(user), /Verify/));
      const again = () => post('/auth/resend-verification', {}, user.accessToken);
      for (let count = 0; count < 3; count += 1) expect((await again()).status).toBe(200);
      expect(await again()).toMatchObject({ status: 429, body: { code: 'rate_limited', retry_after: 3600 } });
      const second = codeIn(await mails.next(addressOf(user), /Verify/));
      expect(second).not.toBe(first);
      expect((await verify(first)).status).toBe(200);
      expect(await verify(second)).toMatchObject(invalid);
      expect(await again()).toMatchObject({ status: 200, body: { message: 'There is nothing to verify' } });
    });

    it('is not verified by a code that has expired', async () => {
      const user = await signUp();
      const code = codeIn(await mails.next(addressOf(user), /Verify/));
      clock.push(24 * 3_600_000);
      expect(await verify(code)).toMatchObject(invalid);
    });

    it('changes when the new one is verified, and the old one is told', async () => {
      const user = await verified();
      const [old, next] = [addressOf(user), `next-${addressOf(user)}`];
      const change = (email: string) =>
        auth.call('PATCH', '/users/me', {
          token: user.accessToken,
          body: { email, current_password: PASSWORD, full_name: 'Ada' },
        });
      expect(await change(next)).toMatchObject({ status: 200, body: { email: old, full_name: 'Ada', is_verified: true } });
      expect((await mails.next(old, /about to change/)).text).toContain(next);
      const code = codeIn(await mails.next(next, /Verify/));
      expect((await auth.login(next)).status).toBe(401);
      expect((await verify(code)).status).toBe(200);
      expect(await me(user)).toMatchObject({ email: next, is_verified: true });
      expect((await auth.login(next)).status).toBe(200);
      expect((await auth.login(old)).status).toBe(401);
    });

    it('may be the same in another case, and is that once it is proven', async () => {
      const user = await verified();
      const next = addressOf(user).replace('mail', 'Mail');
      const body = { email: next, current_password: PASSWORD };
      expect((await auth.call('PATCH', '/users/me', { token: user.accessToken, body })).body).toMatchObject({
        email: addressOf(user),
      });
      expect((await verify(codeIn(await mails.next(next, /Verify/)))).status).toBe(200);
      expect(await me(user)).toMatchObject({ email: next });
      expect(await post('/auth/resend-verification', {}, user.accessToken)).toMatchObject({
        body: { message: 'There is nothing to verify' },
      });
    });

    it('of somebody else is not taken, neither now nor when it was free at first', async () => {
      const [user, other] = [await verified(), await verified()];
      const change = (email: string) =>
        auth.call('PATCH', '/users/me', { token: user.accessToken, body: { email, current_password: PASSWORD } });
      expect(await change(addressOf(other).toUpperCase())).toMatchObject({ status: 400, body: { code: 'email_taken' } });
      const wanted = `late-${addressOf(user)}`;
      expect((await change(wanted)).status).toBe(200);
      const code = codeIn(await mails.next(wanted, /Verify/));
      const registered = await post('/auth/register', { username: `late${number}`, email: wanted, password: PASSWORD });
      expect(registered.status).toBe(201);
      expect(await verify(code)).toMatchObject({ status: 400, body: { code: 'email_taken' } });
      expect(await me(user)).toMatchObject({ email: addressOf(user) });
    });
  });

  describe('a forgotten password', () => {
    const forgot = (email: string) => post('/auth/forgot-password', { email });
    const reset = (token: string, password = NEXT_PASSWORD) => post('/auth/reset-password', { token, new_password: password });
    const codeFor = async (user: SignedUp): Promise<string> => {
      expect((await forgot(addressOf(user))).status).toBe(202);
      return codeIn(await mails.next(addressOf(user), /Set a new password/));
    };

    it('is set anew by the code of a mail, which ends all that the account has open', async () => {
      const user = await verified();
      const key = await post('/auth/api-keys', { name: 'ci', scopes: ['env:read'] }, user.accessToken);
      await auth.call('PATCH', '/users/me', {
        token: user.accessToken,
        body: { email: `eve-${addressOf(user)}`, current_password: PASSWORD },
      });
      const pending = codeIn(await mails.next(`eve-${addressOf(user)}`, /Verify/));
      for (let count = 0; count < 5; count += 1) await auth.login(user.username, 'Wrong-1-password');
      expect(await auth.login(user.username)).toMatchObject({ body: { code: 'account_locked' } });
      const [older, code] = [await codeFor(user), await codeFor(user)];
      let ended = 0;
      const stop = auth.app.get(Authenticator).onRevoked(({ userId, credential }) => {
        if (userId === user.id && credential === null) ended += 1;
      });
      expect(await reset(code, 'short')).toMatchObject({ status: 422, body: { errors: [{ code: 'password_too_short' }] } });
      expect((await reset(code)).status).toBe(200);
      stop();
      expect(ended).toBe(1);
      for (const token of [code, older]) expect(await reset(token)).toMatchObject(invalid);
      expect(await verify(pending)).toMatchObject(invalid);
      expect((await auth.call('GET', '/auth/me', { token: user.accessToken })).status).toBe(401);
      expect((await auth.call('GET', '/auth/me', { token: String(key.body.key) })).status).toBe(401);
      expect(await auth.refresh(user.refreshToken)).toMatchObject({ body: { code: 'session_revoked' } });
      expect((await auth.login(user.username)).status).toBe(401);
      expect((await auth.login(user.username, NEXT_PASSWORD)).status).toBe(200);
    });

    it('is the same question for an address that nobody has, and gets no mail', async () => {
      const user = await verified();
      const [known, unknown] = [await forgot(addressOf(user)), await forgot('nobody@example.com')];
      const told = ({ status, body }: typeof known): unknown => [status, body];
      expect(told(known)).toEqual(told(unknown));
      await mails.next(addressOf(user), /Set a new password/);
      expect(mails.received.filter(({ to }) => to === 'nobody@example.com')).toEqual([]);
      expect(await forgot('nonsense')).toMatchObject({ status: 422, body: { errors: [{ code: 'invalid_email' }] } });
    });

    it('fills no inbox, and answers the same', async () => {
      const user = await verified();
      const answers = await Promise.all(
        Array.from({ length: 5 }, (_, at) => forgot(at % 2 === 0 ? addressOf(user) : addressOf(user).toUpperCase())),
      );
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
      const waiting = (): Promise<number> => auth.database.connection.collection('mails').countDocuments({});
      while ((await waiting()) > 0) await new Promise((resolve) => setImmediate(resolve));
      expect(mails.received.filter(({ to }) => to === addressOf(user))).toHaveLength(3);
      clock.push(3_600_000);
      await codeFor(user);
    });

    it('is set by one of those who use a code at once, and not by one that expired or was for something else', async () => {
      const user = await verified();
      const code = await codeFor(user);
      const answers = await Promise.all(['Parallel-1', 'Parallel-2', 'Parallel-3'].map((password) => reset(code, password)));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
      const late = await codeFor(user);
      expect(await verify(late)).toMatchObject(invalid);
      clock.push(3_600_000);
      expect(await reset(late)).toMatchObject(invalid);
    });
  });

  it('an account is told of a lock once, and of a kind of device that it does not know', async () => {
    const user = await verified();
    for (let count = 0; count < 7; count += 1) await auth.login(user.username, 'Wrong-1-password');
    expect((await mails.next(addressOf(user), /locked/)).text).toContain('five times');
    expect(mails.received.filter(({ to }) => to === addressOf(user))).toEqual([]);

    const other = await verified();
    const signIn = (userAgent: string) =>
      auth.call('POST', '/auth/login', {
        body: { username_or_email: other.username, password: PASSWORD },
        headers: { 'user-agent': userAgent },
      });
    await signIn('Phone <b>7</b>');
    const mail = await mails.next(addressOf(other), /new device/i);
    expect([mail.text.includes('Phone <b>7</b>'), mail.html.includes('Phone &lt;b&gt;7&lt;/b&gt;')]).toEqual([true, true]);
    await signIn('Phone <b>7</b>');
    await signIn('Laptop');
    expect((await mails.next(addressOf(other), /new device/i)).text).toContain('Laptop');
    expect(mails.received.filter(({ to }) => to === addressOf(other))).toEqual([]);
  });
});

describe('without a mail server', () => {
  it('accounts are verified at once, and mails are files', async () => {
    const auth = await AuthApp.start();
    const user = await auth.signUp('files');
    expect((await auth.call('GET', '/auth/me', { token: user.accessToken })).body).toMatchObject({ is_verified: true });
    await auth.call('POST', '/auth/forgot-password', { body: { email: 'files@example.com' } });
    const folder = join(auth.settings.mail.dataDir, 'mail');
    const find = (): string | undefined => {
      try {
        return readdirSync(folder).find((name) => name.endsWith('.eml'));
      } catch {
        return undefined;
      }
    };
    while (find() === undefined) await new Promise((resolve) => setImmediate(resolve));
    const token = /^ {4}(\S+)\r?$/m.exec(readFileSync(join(folder, find() ?? ''), 'utf8'))?.[1];
    const answer = await auth.call('POST', '/auth/reset-password', { body: { token, new_password: NEXT_PASSWORD } });
    expect(answer.status).toBe(200);
    expect((await auth.login('files', NEXT_PASSWORD)).status).toBe(200);
    await auth.close();
  });
});
