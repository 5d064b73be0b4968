import { isRecord } from '@devpocket/client';
import { Redis } from 'ioredis';
import { eventually, EventSource, PASSWORD, type Talk, talk, tally, type TestUser } from '../testing';
import { Replicas } from '../testing/replicas';

const COUNT = 3;

describe('three replicas on one database, one Redis and one runtime', () => {
  const replicas = new Replicas({ WS_MAX_CONNECTIONS_PER_USER: '50' });
  let names = 0;
  beforeAll(() => replicas.start(COUNT));
  afterAll(() => replicas.close());

  /** Signed in at one of them. */
  const someone = (at = 0): Promise<TestUser> => replicas.at(at).user(`someone-${(names += 1)}`);

  async function environment(user: TestUser, at = 0): Promise<string> {
    const options = { token: user.token, body: { name: `e${(names += 1)}`, template: 'ubuntu' } };
    const made = await replicas.at(at).call('POST', '/environments', options);
    const id = isRecord(made.body) ? String(made.body.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
    return id;
  }

  const outputs = new Map<Talk, { text: string; seq: number }>();

  function terminal(url: string, user: TestUser, id: string, query = '', protocol = 'devpocket.v1.json'): Talk {
    const opened = talk(url, `/api/v1/ws/terminal/${id}?cols=80&rows=24${query}`, [protocol, `bearer.${user.token}`]);
    const output = { text: '', seq: 0 };
    outputs.set(opened, output);
    opened.socket.on('message', () => {
      const { type, data, seq } = opened.messages.at(-1) ?? {};
      if (type !== 'output') return;
      output.text += String(data);
      output.seq = Number(seq);
    });
    return opened;
  }

  const open = (at: number, user: TestUser, id: string, query = '', protocol?: string): Talk =>
    terminal(replicas.at(at).url, user, id, query, protocol);

  const told = (from: Talk, type: string): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(from.messages.find((message) => message.type === type)));
  const heardBy = (from: Talk): string => outputs.get(from)?.text ?? '';
  const seqOf = (from: Talk): number => outputs.get(from)?.seq ?? 0;
  const hears = (from: Talk, text: string): Promise<unknown> => eventually(() => Promise.resolve(heardBy(from).includes(text)));
  const say = ({ socket }: Talk, message: Record<string, unknown>): void => socket.send(JSON.stringify(message));

  describe('a terminal', () => {
    it('is the same wherever a client connects', async () => {
      const user = await someone();
      const id = await environment(user);
      const first = open(0, user, id);
      const { session_id: session } = await told(first, 'welcome');
      say(first, { type: 'input', data: 'echo one\n' });
      await hears(first, 'one\r\n');
      const second = open(1, user, id, `&session_id=${String(session)}&client_id=phone&ack=1`);
      const third = open(2, user, id, `&session_id=${String(session)}&after=0`, 'devpocket.v1.binary');
      expect(await told(second, 'welcome')).toMatchObject({ session_id: session, resumed: true, client_id: 'phone', gap: 0 });
      expect(third.socket.protocol).toBe('devpocket.v1.binary');
      say(second, { type: 'input', data: 'echo two\n', seq: 9 });
      expect(await told(second, 'input_ack')).toMatchObject({ seq: 9 });
      for (const each of [first, second, third]) await hears(each, 'two\r\n');
      expect(new Set([first, second, third].map(heardBy)).size).toBe(1);
      say(second, { type: 'ping', id: 7 });
      expect(await told(second, 'pong')).toMatchObject({ id: 7 });
      for (const at of [0, 1, 2]) {
        const list = await replicas.at(at).call('GET', `/environments/${id}/terminals`, { token: user.token });
        expect(list.body).toMatchObject([{ session_id: session, attached: 3, exit: null }]);
        const screen = await replicas
          .at(at)
          .call('GET', `/environments/${id}/terminals/${String(session)}/screen`, { token: user.token });
        expect(screen.body).toMatchObject({ session_id: session, data: expect.stringContaining('two') as string });
      }
      say(second, { type: 'input', data: 'exit 3\n', seq: 16 });
      for (const each of [first, second, third]) {
        expect(await told(each, 'exit')).toMatchObject({ code: 3, reason: 'exited' });
        expect(await each.over).toBe(1000);
      }
    });

    it('of the same client replaces the one on another replica', async () => {
      const user = await someone();
      const id = await environment(user);
      const old = open(0, user, id, '&client_id=phone');
      const { session_id: session } = await told(old, 'welcome');
      const fresh = open(1, user, id, `&client_id=phone&session_id=${String(session)}`);
      await told(fresh, 'welcome');
      expect(await old.over).toBe(4408);
      const again = open(2, user, id, `&client_id=phone&session_id=${String(session)}`);
      await told(again, 'welcome');
      expect(await fresh.over).toBe(4408);
      again.socket.terminate();
      await eventually(async () => {
        const { body } = await replicas.at(0).call('GET', `/environments/${id}/terminals`, { token: user.token });
        return Array.isArray(body) && (body[0] as { attached: number }).attached === 0;
      });
    });

    it('is refused as it is at home, and closed by whom it is closed', async () => {
      const [user, other] = [await someone(), await someone()];
      const id = await environment(user);
      const home = open(0, user, id);
      const { session_id: session } = await told(home, 'welcome');
      expect(await open(1, other, id).over).toBe(4404);
      expect(await open(1, user, id, '&session_id=0123456789abcdef01234567').over).toBe(4404);
      const far = open(1, user, id, `&session_id=${String(session)}&after=999999`);
      expect([await far.over, await told(far, 'error')]).toMatchObject([4404, { code: 'bad_after' }]);
      const strange = await replicas.at(2).call('DELETE', `/environments/${id}/terminals/0123456789abcdef01234567`, {
        token: user.token,
      });
      expect(strange).toMatchObject({ status: 404, body: { code: 'not_found' } });
      const away = open(1, user, id, `&session_id=${String(session)}`);
      await told(away, 'welcome');
      const deleted = await replicas
        .at(2)
        .call('DELETE', `/environments/${id}/terminals/${String(session)}`, { token: user.token });
      expect(deleted.status).toBe(204);
      expect([await home.over, await away.over]).toEqual([1000, 1000]);
    });

    it('carries a flood through another replica, with its reader stalling', async () => {
      const user = await someone();
      const id = await environment(user);
      const home = open(0, user, id);
      const { session_id: session } = await told(home, 'welcome');
      home.socket.terminate();
      const away = open(1, user, id, `&session_id=${String(session)}&ack=1`);
      await told(away, 'welcome');
      const flood = Array.from({ length: 200_000 }, (_, n) => `${n + 1}\r\n`).join('');
      for (let at = 0; at < flood.length; at += 65_536)
        replicas.driver.print(id, String(session), Buffer.from(flood.slice(at, at + 65_536)));
      const acks = setInterval(() => say(away, { type: 'ack', seq: seqOf(away) }), 5);
      away.socket.pause();
      setTimeout(() => away.socket.resume(), 300);
      await hears(away, '\r\n200000\r\n');
      clearInterval(acks);
      expect(away.messages.some(({ type }) => type === 'gap')).toBe(false);
      expect(heardBy(away) === flood).toBe(true);
    });

    it('goes on at another replica when its own stops', async () => {
      const user = await someone();
      const id = await environment(user);
      const leaver = await replicas.server().start();
      const home = terminal(leaver.url, user, id, '&client_id=phone');
      const { session_id: session } = await told(home, 'welcome');
      const away = open(1, user, id, `&client_id=tablet&session_id=${String(session)}`);
      await told(away, 'welcome');
      say(away, { type: 'input', data: 'echo before\n', seq: 12 });
      await hears(home, 'before\r\n');
      await hears(away, 'before\r\n');
      await leaver.close();
      expect([await home.over, await away.over]).toEqual([1012, 1012]);
      expect(await told(away, 'error')).toMatchObject({ code: 'restarting', retry_after_ms: expect.any(Number) as number });
      const at = seqOf(away);
      const back = open(2, user, id, `&client_id=tablet&session_id=${String(session)}&after=${at}`);
      expect(await told(back, 'welcome')).toMatchObject({ resumed: true, gap: 0, seq: at, input_seq: 12 });
      say(back, { type: 'input', data: 'echo before\necho after\n', seq: 23 });
      await hears(back, 'after\r\n');
      expect(heardBy(back)).not.toContain('before');
    });
  });

  describe('what ends a credential', () => {
    it.each([
      ['a logout', (user: TestUser) => replicas.at(2).call('POST', '/auth/logout', { token: user.token })],
      [
        'a deactivation',
        async (user: TestUser) => {
          const me = await replicas.at(2).call('GET', '/auth/me', { token: user.token });
          const admin = await someone(2);
          await promote(admin);
          const { token } = { token: await admin.client.login(admin.name, PASSWORD).then(() => admin.client.accessToken()) };
          const id = isRecord(me.body) ? String(me.body.id) : '';
          return replicas.at(2).call('PATCH', `/users/${id}`, { token, body: { is_active: false } });
        },
      ],
    ])('%s at one closes sockets and streams at all, within a second', async (_what, end) => {
      const user = await someone();
      const id = await environment(user);
      const sockets = [0, 1].map((at) => open(at, user, id));
      const events = [0, 1].map((at) =>
        talk(replicas.at(at).url, '/api/v1/ws/events', ['devpocket.v1.json', `bearer.${user.token}`]),
      );
      for (const each of sockets) await told(each, 'welcome');
      for (const each of events) await eventually(() => Promise.resolve(each.socket.readyState === each.socket.OPEN));
      const streams = await Promise.all(
        [0, 1].map((at) => EventSource.open(`${replicas.at(at).url}/api/v1/events`, { authorization: `Bearer ${user.token}` })),
      );
      for (const stream of streams) await eventually(() => Promise.resolve(stream.lastId !== ''));
      expect((await end(user)).status).toBe(200);
      const ended = performance.now();
      expect(await Promise.all([...sockets, ...events].map(({ over }) => over))).toEqual([4401, 4401, 4401, 4401]);
      for (const stream of streams) await eventually(() => Promise.resolve(stream.ended));
      expect(performance.now() - ended).toBeLessThan(1_000);
    });
  });

  async function promote(user: TestUser): Promise<void> {
    const { UsersService } = await import('@devpocket/users');
    const users = replicas.at(0).running.app.get(UsersService);
    await users.promote((await users.findByName(user.name))?.id ?? '');
  }

  it('take calls on the port between them from each other alone', async () => {
    const redis = new Redis(replicas.redis.url);
    const [key = ''] = await redis.keys('devpocket:*:replica:*');
    const address = await redis.get(key);
    await redis.quit();
    const asked = await Promise.all(
      ['/', '/v1/terminals', '/v1/socket', '/api/v1/auth/me', '/health'].map((path) =>
        fetch(`http://${String(address)}${path}`, { method: 'POST', body: '{}', headers: { 'x-devpocket-seal': 'a.b' } }),
      ),
    );
    expect(asked.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
    const socket = talk(`http://${String(address)}`, '/v1/socket');
    expect(await socket.over).toBe(404);
  });

  it('tell events at once, wherever they come from', async () => {
    const user = await someone();
    const stream = await EventSource.open(`${replicas.at(1).url}/api/v1/events`, { authorization: `Bearer ${user.token}` });
    await eventually(() => Promise.resolve(stream.lastId !== ''));
    const begun = performance.now();
    await environment(user, 0);
    await eventually(() => Promise.resolve(stream.events.some(({ status }) => status === 'running')));
    // Far below the look at the log without having been woken.
    expect(performance.now() - begun).toBeLessThan(3_000);
    stream.close();
  });

  it('let a ticket in once, wherever it is used', async () => {
    const user = await someone();
    const made = await replicas.at(0).call('POST', '/tickets', { token: user.token, body: { purpose: 'events' } });
    const ticket = isRecord(made.body) ? String(made.body.ticket) : '';
    const all = Array.from({ length: 30 }, (_, at) => talk(replicas.at(at).url, `/api/v1/ws/events?ticket=${ticket}`));
    const refused = await eventually(() => {
      const closed = all.filter(({ socket }) => socket.readyState === socket.CLOSED).length;
      return Promise.resolve(closed >= 29 ? closed : null);
    });
    expect(refused).toBe(29);
    const winner = all.find(({ socket }) => socket.readyState === socket.OPEN);
    winner?.socket.close();
    expect((await Promise.all(all.map(({ over }) => over))).filter((code) => code === 4401)).toHaveLength(29);
  });

  it('make one environment of one key, however many are asked at once', async () => {
    const user = await someone();
    const options = { token: user.token, headers: { 'idempotency-key': 'same' }, body: { name: 'once', template: 'ubuntu' } };
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, at) => replicas.at(at).call('POST', '/environments', options)),
    );
    expect(tally(answers)).toEqual({ '201': 12 });
    expect(new Set(answers.map(({ body }) => (isRecord(body) ? body.id : null))).size).toBe(1);
  });

  it('lock an account together, after five wrong passwords', async () => {
    const user = await someone();
    const wrong = { body: { username_or_email: user.name, password: 'Wrong-Horse-7' } };
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => replicas.at(at).call('POST', '/auth/login', wrong)));
    expect(tally(answers)).toEqual({ '401 invalid_credentials': 5, '401 account_locked': 15 });
  });
});

describe('replicas with a limit', () => {
  const replicas = new Replicas({ RATE_LIMIT_ENABLED: 'true', RATE_LIMIT_PER_MINUTE: '20', AUTH_RATE_LIMIT_PER_MINUTE: '50' });
  beforeAll(() => replicas.start(COUNT));
  afterAll(() => replicas.close());

  it('count requests together', async () => {
    const user = await replicas.at(0).user('counted');
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, at) => replicas.at(at).call('GET', '/auth/me', { token: user.token })),
    );
    expect(tally(answers)).toEqual({ '200': 20, '429 rate_limited': 40 });
  });
});

describe('replicas whose Redis is killed', () => {
  const replicas = new Replicas();
  beforeAll(() => replicas.start(2));
  afterAll(() => replicas.close());

  it('go on with what they have, refuse what cannot be decided, and recover by themselves', async () => {
    const user = await replicas.at(0).user('lonely');
    const made = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    const id = isRecord(made) ? String(made.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
    const open = (at: number): Talk =>
      talk(replicas.at(at).url, `/api/v1/ws/terminal/${id}`, ['devpocket.v1.json', `bearer.${user.token}`]);
    const welcomed = ({ messages }: Talk): Promise<unknown> => eventually(() => Promise.resolve(messages[0]?.type === 'welcome'));
    const home = open(0);
    await welcomed(home);
    const far = open(1);
    await welcomed(far);
    await replicas.redis.kill();

    const ticket = await replicas.at(0).call('POST', '/tickets', { token: user.token, body: { purpose: 'events' } });
    expect(ticket).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(ticket.headers.get('retry-after')).toBe('1');
    expect(await talk(replicas.at(0).url, '/api/v1/ws/events?ticket=x').over).toBe(1011);
    for (const each of [home, far]) {
      each.socket.send(JSON.stringify({ type: 'input', data: 'echo on\n' }));
      await eventually(() => Promise.resolve(each.messages.some(({ data }) => String(data).includes('on\r\n'))));
    }
    const again = open(0);
    await welcomed(again);
    expect(await open(1).over).toBe(1011);
    expect((await replicas.at(1).call('GET', `/environments/${id}/terminals`, { token: user.token })).status).toBe(503);
    const ready = await replicas.at(1).call('GET', '//health/ready');
    expect(ready).toMatchObject({ status: 200, body: { status: 'ready', checks: { database: 'healthy', redis: 'unhealthy' } } });

    await replicas.redis.start();
    await eventually(async () => {
      const { body } = await replicas.at(1).call('GET', '//health/ready');
      return isRecord(body) && isRecord(body.checks) && body.checks.redis === 'healthy';
    });
    const back = open(1);
    await welcomed(back);
    const list = await replicas.at(1).call('GET', `/environments/${id}/terminals`, { token: user.token });
    expect(list.body).toHaveLength(4);
  });
});
