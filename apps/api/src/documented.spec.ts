import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { UsersService } from '@devpocket/users';
import { MailServer } from '@testing/mail';
import { FakeDriver } from '@testing/runtime';
import { eventually, PASSWORD, type Talk, talk, TestApi, type TestUser } from '../testing';

const fake = (): FakeDriver => new FakeDriver({ clock: new SystemClock() });

/**
 * What the documents promise and no other spec of the server asks for: each answer here is judged by them (`testing/witness`),
 * and the suite as a whole has to have seen them all (`testing/judge-answers`).
 */
describe('the server as documented', () => {
  const driver = fake();
  const api = new TestApi(() => [driver], { TERMINAL_BUFFER_BYTES: '65536' });
  let user: TestUser;
  let admin: TestUser;
  let id: string;
  beforeAll(async () => {
    await api.start();
    [user, admin] = [await api.user('reader'), await api.user('chief')];
    const users = api.running.app.get(UsersService);
    await users.promote((await users.findByName('chief'))?.id ?? '');
    const made = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    id = isRecord(made) ? String(made.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
  });
  afterAll(() => api.close());

  it.each(['/auth/me', '/users/me', '/users', '/environments', '/templates', '/templates/ubuntu'])(
    'knows what a client of %s has already',
    async (path) => {
      const { token } = path === '/users' ? admin : user;
      const first = await api.call('GET', path, { token });
      const etag = first.headers.get('etag') ?? '';
      const again = await api.call('GET', path, { token, headers: { 'if-none-match': etag } });
      expect([first.status, again.status, again.body]).toEqual([200, 304, null]);
    },
  );

  it('shows and changes accounts to an administrator', async () => {
    const { token } = admin;
    const list = (await api.call('GET', '/users?limit=10', { token })).body as Record<string, unknown>[];
    const path = `/users/${String(list.find(({ username }) => username === 'reader')?.id)}`;
    const shown = await api.call('GET', path, { token });
    expect(shown).toMatchObject({ status: 200, body: { username: 'reader', subscription_plan: 'free' } });
    const known = { 'if-none-match': shown.headers.get('etag') ?? '' };
    expect((await api.call('GET', path, { token, headers: known })).status).toBe(304);
    expect(await api.call('PATCH', path, { token, body: { subscription_plan: 'pro' } })).toMatchObject({
      status: 200,
      body: { subscription_plan: 'pro' },
    });
  });

  it('changes a whole environment, measures it, and gives tickets for its terminal', async () => {
    const { token } = user;
    expect(await api.call('PUT', `/environments/${id}`, { token, body: { description: 'mine' } })).toMatchObject({
      status: 200,
      body: { description: 'mine', restart_required: [] },
    });
    expect((await api.call('GET', `/environments/${id}/metrics?hours=1`, { token })).body).toMatchObject({ environment_id: id });
    expect((await api.call('POST', `/environments/${id}/terminal-ticket`, { token })).body).toMatchObject({ expires_in: 30 });
  });

  it('ends devices, and an account with its password', async () => {
    await api.user('leaver');
    const signIn = async (): Promise<{ access_token: string; refresh_token: string }> =>
      (await api.call('POST', '/auth/login', { body: { username_or_email: 'leaver', password: PASSWORD } })).body as never;
    const [phone, desk] = [await signIn(), await signIn()];
    const refreshed = await api.call('POST', '/auth/refresh', { body: { refresh_token: desk.refresh_token } });
    expect(refreshed.status).toBe(200);
    const token = isRecord(refreshed.body) ? String(refreshed.body.access_token) : '';
    const sessions = (await api.call('GET', '/auth/sessions', { token })).body as { id: string; current: boolean }[];
    const other = sessions.find(({ current }) => !current);
    expect((await api.call('DELETE', `/auth/sessions/${other?.id ?? ''}`, { token })).status).toBe(204);
    const next = 'Battery-staple-2';
    const change = { current_password: PASSWORD, new_password: next };
    expect((await api.call('POST', '/users/me/password', { token, body: change })).status).toBe(200);
    expect((await api.call('DELETE', '/users/me', { token, body: { password: next } })).status).toBe(202);
    expect(await api.call('GET', '/auth/me', { token: phone.access_token })).toMatchObject({ status: 401 });
  });

  it('logs out once, however often it is asked at once', async () => {
    const { token } = await api.user('twice');
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.call('POST', '/auth/logout', { token })));
    // Who comes late is told that the session has ended, or that it is out.
    expect(answers.filter(({ status }) => status !== 200 && status !== 401)).toEqual([]);
    expect(answers.some(({ status }) => status === 200)).toBe(true);
  });

  const said = (conversation: Talk, type: string, from = 0): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(conversation.messages.slice(from).find((message) => message.type === type)));
  const say = (conversation: Talk, message: Readonly<Record<string, unknown>>): void =>
    conversation.socket.send(JSON.stringify(message));

  it('has a terminal that is resized, acknowledged, controlled and renewed, and tells what a slow client lost', async () => {
    const conversation = talk(api.url, `/api/v1/ws/terminal/${id}?token=${user.token}&ack=1`);
    const { session_id } = await said(conversation, 'welcome');
    say(conversation, { type: 'resize', cols: 100, rows: 30 });
    expect(await said(conversation, 'size')).toMatchObject({ cols: 100, rows: 30 });
    say(conversation, { type: 'control', action: 'release' });
    say(conversation, { type: 'control', action: 'take' });
    say(conversation, { type: 'auth', token: user.token });
    say(conversation, { type: 'input', data: 'echo hello\n' });
    const { seq } = await said(conversation, 'output');
    say(conversation, { type: 'ack', seq });
    // Another that acknowledges nothing: it has 256 KiB, the buffer 64 KiB, and this is more than both.
    const slow = talk(api.url, `/api/v1/ws/terminal/${id}?token=${user.token}&ack=1&session_id=${String(session_id)}`);
    await said(slow, 'welcome');
    for (let n = 0; n < 12; n += 1) {
      const { seq: before } = conversation.messages.findLast(({ type }) => type === 'output') ?? {};
      driver.print(id, String(session_id), Buffer.alloc(32_768, 'x'));
      const now = await eventually(() =>
        Promise.resolve(
          conversation.messages.findLast(({ type, seq: at }) => type === 'output' && at === Number(before) + 32_768),
        ),
      );
      say(conversation, { type: 'ack', seq: now.seq });
    }
    say(slow, { type: 'ack', seq: slow.messages.findLast(({ type }) => type === 'output')?.seq });
    expect(Number((await said(slow, 'gap')).bytes)).toBeGreaterThan(0);
    conversation.socket.close();
    slow.socket.close();
  });

  it('follows a log through a restart', async () => {
    const conversation = talk(api.url, `/api/v1/ws/logs/${id}?token=${user.token}`);
    await said(conversation, 'caught_up');
    say(conversation, { type: 'auth', token: user.token });
    await user.client.request('POST', `/environments/${id}/restart`);
    await said(conversation, 'restarted');
    conversation.socket.close();
  });
});

describe('the server with mail as documented', () => {
  let mail: MailServer;
  let api: TestApi;
  beforeAll(async () => {
    mail = await MailServer.start();
    api = new TestApi(() => [fake()], { SMTP_URL: mail.url });
    await api.start();
  });
  afterAll(async () => {
    await api.close();
    await mail.close();
  });

  it('verifies addresses and resets passwords by code', async () => {
    const email = 'writer@example.com';
    const code = async (subject: RegExp): Promise<string> => {
      const { text } = await mail.next(email, subject);
      return /^ {4}(\S+)$/m.exec(text)?.[1] ?? text;
    };
    const { token } = await api.user('writer');
    const knock = async (): Promise<unknown> => {
      const conversation = talk(api.url, `/api/v1/ws/terminal/0123456789abcdef01234567?token=${token}`);
      return [await conversation.over, conversation.messages[0]?.code];
    };
    expect(await knock()).toEqual([4403, 'email_not_verified']);
    expect((await api.call('POST', '/auth/verify-email', { body: { token: await code(/verif|address/i) } })).status).toBe(200);
    expect(await knock()).toEqual([4404, 'not_found']);
    expect((await api.call('POST', '/auth/forgot-password', { body: { email } })).status).toBe(202);
    const body = { token: await code(/password/i), new_password: 'Battery-staple-2' };
    expect((await api.call('POST', '/auth/reset-password', { body })).status).toBe(200);
  });
});
