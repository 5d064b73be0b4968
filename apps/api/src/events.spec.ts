import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { eventually, EventSource, type Talk, talk as talkTo, TestApi, type TestUser } from '../testing';

const ID = /^[0-9a-f]{24}$/;

describe('events', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], { ALLOWED_ORIGINS: 'https://app.example' });
  const sources: EventSource[] = [];
  beforeAll(() => api.start());
  afterEach(() => {
    for (const source of sources.splice(0)) source.close();
  });
  afterAll(() => api.close());

  const listen = async (
    token: string | null,
    query = '',
    headers: Readonly<Record<string, string>> = {},
  ): Promise<EventSource> => {
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    const source = await EventSource.open(`${api.url}/api/v1/events${query}`, { ...authorization, ...headers });
    sources.push(source);
    if (source.response.ok) await eventually(() => Promise.resolve(source.lastId !== ''));
    return source;
  };
  const create = async (user: TestUser, name: string): Promise<string> => {
    const created = await user.client.request('POST', '/environments', { name, template: 'ubuntu' });
    return isRecord(created) ? String(created.id) : '';
  };
  const heard = (events: readonly Record<string, unknown>[], type: string, status?: string) =>
    eventually(() => Promise.resolve(events.find((event) => event.type === type && (status ?? event.status) === event.status)));
  const ticket = async (user: TestUser): Promise<string> => {
    const made = await user.client.request('POST', '/tickets', { purpose: 'events' });
    return isRecord(made) ? String(made.ticket) : '';
  };
  const keyOf = async (user: TestUser, scope: string): Promise<{ readonly id: string; readonly key: string }> => {
    const made = await user.client.request('POST', '/auth/api-keys', { name: scope, scopes: [scope] });
    return isRecord(made) ? { id: String(made.id), key: String(made.key) } : { id: '', key: '' };
  };

  it('come as they happen, in their order, over both streams alike', async () => {
    const user = await api.user('reader');
    const source = await listen(user.token);
    const { headers } = source.response;
    expect([headers.get('content-type'), headers.get('cache-control'), headers.get('x-accel-buffering')]).toEqual([
      'text/event-stream; charset=utf-8',
      'no-store',
      'no',
    ]);
    expect(headers.get('x-request-id')).toBeTruthy();
    expect(headers.get('content-encoding')).toBeNull();
    expect(source.text).toMatch(/^retry: 3000\n/);
    const socket = talkTo(api.url, `/api/v1/ws/events?token=${user.token}&after=${source.lastId}`);
    const id = await create(user, 'one');
    await heard(source.events, 'environment.status', 'running');
    await user.client.request('POST', `/environments/${id}/stop`);
    await heard(source.events, 'environment.status', 'stopped');
    await user.client.request('DELETE', `/environments/${id}`);
    await heard(source.events, 'environment.deleted');
    await heard(socket.messages, 'environment.deleted');
    expect(source.events.map(({ event: _event, ...rest }) => rest)).toEqual(socket.messages);
    expect(source.events.every(({ event, type }) => event === type)).toBe(true);
    const [first] = socket.messages;
    expect(first).toEqual({
      type: 'environment.status',
      id: expect.any(String) as string,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      environment_id: expect.stringMatching(ID) as string,
      status_version: 1,
      status: 'creating',
      desired_status: 'running',
      status_reason: null,
      status_message: null,
    });
    const progress = socket.messages.filter(({ type }) => type === 'environment.progress');
    expect(Object.keys(progress[0] ?? {})).toEqual([
      'type',
      'id',
      'timestamp',
      'environment_id',
      'status_version',
      'phase',
      'progress',
    ]);
    const versions = socket.messages.map(({ status_version: version }) => Number(version));
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    const ids = socket.messages.map((message) => String(message.id));
    expect(ids).toEqual([...new Set(ids)].sort());
    socket.socket.close();
  });

  it('go on behind a cursor, also after a restart, and say when one leads nowhere', async () => {
    const user = await api.user('returner');
    const source = await listen(user.token);
    const cursor = source.lastId;
    await create(user, 'one');
    await heard(source.events, 'environment.status', 'running');
    const ids = source.events.map(({ id }) => id);
    await api.restart();
    await eventually(() => Promise.resolve(source.ended));
    expect(source.text).toMatch(/retry: \d+\n\n$/);
    const all = await listen(user.token, `?after=${cursor}`);
    await eventually(() => Promise.resolve(all.events.length >= ids.length));
    expect(all.events.slice(0, ids.length).map(({ id }) => id)).toEqual(ids);
    // A browser comes back with the address of its first time.
    const rest = await listen(user.token, `?after=${cursor}`, { 'last-event-id': String(ids[1]) });
    await eventually(() => Promise.resolve(rest.events.length >= ids.length - 2));
    expect(rest.events[0]?.id).toBe(ids[2]);
    const lost = await listen(user.token, '?after=nothing');
    expect(await heard(lost.events, 'sync.reset')).toEqual({
      event: 'sync.reset',
      type: 'sync.reset',
      id: lost.lastId,
      timestamp: expect.any(String) as string,
      environment_id: null,
      status_version: null,
      reason: 'unreadable',
    });
    const stranger = await api.user('stranger');
    const socket = talkTo(api.url, `/api/v1/ws/events?token=${stranger.token}&after=${cursor}`);
    expect(await heard(socket.messages, 'sync.reset')).toMatchObject({ reason: 'foreign' });
    socket.socket.close();
  });

  it('open with what may read environments, and with nothing else', async () => {
    const user = await api.user('holder');
    const statusOf = async (token: string | null, query = ''): Promise<string> => {
      const answer = await api.call('GET', `/events${query}`, token === null ? {} : { token });
      return isRecord(answer.body) ? `${answer.status} ${String(answer.body.code)}` : String(answer.status);
    };
    const [reading, writing] = [await keyOf(user, 'env:read'), await keyOf(user, 'terminal')];
    expect(await statusOf(null)).toBe('401 token_missing');
    expect(await statusOf('x')).toBe('401 token_invalid');
    expect(await statusOf(reading.key)).toBe('200');
    expect(await statusOf(writing.key)).toBe('403 scope_missing');
    const once = await ticket(user);
    expect([await statusOf(null, `?ticket=${once}`), await statusOf(null, `?ticket=${once}`)]).toEqual([
      '200',
      '401 ticket_invalid',
    ]);
    const terminal = await user.client.request('POST', '/tickets', {
      purpose: 'terminal',
      environment_id: await create(user, 'one'),
    });
    expect(await statusOf(null, `?ticket=${isRecord(terminal) ? String(terminal.ticket) : ''}`)).toBe('401 ticket_invalid');
    // A ticket is for this route alone.
    expect((await api.call('GET', `/environments?ticket=${await ticket(user)}`)).status).toBe(401);
    expect(await statusOf(user.token, '?nothing=1')).toBe('422 validation_error');
    expect(
      (await fetch(`${api.url}/api/v1/events`, { method: 'HEAD', headers: { authorization: `Bearer ${user.token}` } })).status,
    ).toBe(200);
    expect((await api.call('POST', '/events', { token: user.token, body: {} })).status).toBe(405);
  });

  it.each([
    ['no credential', () => '', 4401, 'token_missing'],
    ['a bad token', () => 'token=x', 4401, 'token_invalid'],
    ['a bad ticket', () => 'ticket=x', 4401, 'ticket_invalid'],
    ['a key that may not read', ({ terminal }: Record<string, string>) => `token=${terminal ?? ''}`, 4403, 'scope_missing'],
  ] as const)('refuse a socket with %s', async (_what, queryOf, closed, code) => {
    const user = await api.user(`refused-${code}`.slice(0, 30));
    const query = queryOf({ terminal: (await keyOf(user, 'terminal')).key });
    const socket = talkTo(api.url, `/api/v1/ws/events?${query}`);
    expect(await socket.over).toBe(closed);
    expect(socket.messages).toMatchObject([{ type: 'error', code }]);
  });

  it('listen to what a client says on a socket', async () => {
    const user = await api.user('talker');
    const socket = talkTo(api.url, `/api/v1/ws/events?ticket=${await ticket(user)}`);
    const answers = async (said: string): Promise<unknown> => {
      const before = socket.messages.length;
      socket.socket.send(said);
      return eventually(() => Promise.resolve(socket.messages[before]));
    };
    await eventually(() => Promise.resolve(socket.socket.readyState === socket.socket.OPEN));
    expect(await answers('{"type":"ping","id":7}')).toEqual({ type: 'pong', id: 7 });
    expect(await answers('{"type":"dance"}')).toMatchObject({ type: 'error', code: 'unknown_type' });
    expect(await answers('nonsense')).toMatchObject({ type: 'error', code: 'bad_message' });
    expect(await answers('{"type":"auth","token":"x"}')).toMatchObject({ type: 'error', code: 'token_invalid' });
    expect(await answers(`{"type":"auth","token":"${(await api.user('another')).token}"}`)).toMatchObject({
      code: 'token_invalid',
    });
    socket.socket.send(`{"type":"auth","token":"${user.token}"}`);
    expect(await answers('{"type":"ping"}')).toEqual({ type: 'pong' });
    socket.socket.close();
  });

  it('count as sockets do on sockets, and apart from them as streams', async () => {
    const user = await api.user('collector');
    const sockets: Talk[] = [];
    for (let count = 0; count < 5; count += 1) {
      const socket = talkTo(api.url, `/api/v1/ws/events?token=${user.token}`);
      sockets.push(socket);
      socket.socket.once('open', () => socket.socket.send('{"type":"ping"}'));
      await heard(socket.messages, 'pong');
    }
    const sixth = talkTo(api.url, `/api/v1/ws/events?token=${user.token}`);
    expect(await sixth.over).toBe(4429);
    expect(sixth.messages[0]).toMatchObject({ code: 'too_many_connections' });
    const streams: EventSource[] = [];
    for (let count = 0; count < 6; count += 1) streams.push(await listen(user.token));
    await eventually(() => Promise.resolve(streams[0]?.ended));
    expect(streams.map(({ ended }) => ended)).toEqual([true, false, false, false, false, false]);
    for (const { socket } of sockets) socket.close();
  });

  it.each([
    ['signs out', (user: TestUser) => user.client.request('POST', '/auth/logout')],
    ['removes the account', (user: TestUser) => user.client.request('DELETE', '/users/me', { password: 'Correct-horse-1' })],
  ] as const)('end within a second when their owner %s', async (what, end) => {
    const user = await api.user(`leaver-${what.slice(0, 5)}`);
    const source = await listen(user.token);
    const byTicket = await listen(null, `?ticket=${await ticket(user)}`);
    const socket = talkTo(api.url, `/api/v1/ws/events?token=${user.token}`);
    await eventually(() => Promise.resolve(socket.socket.readyState === socket.socket.OPEN));
    await end(user);
    const begun = performance.now();
    await eventually(() => Promise.resolve(source.ended && byTicket.ended));
    expect(await socket.over).toBe(4401);
    expect(socket.messages.at(-1)).toMatchObject({ code: 'session_revoked' });
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect(source.text).toMatch(/: session_revoked\n\n$/);
  });

  it('end with the key that opened them, and leave the others alone', async () => {
    const user = await api.user('keyholder');
    const key = await keyOf(user, 'env:read');
    const [byKey, bySession] = [await listen(key.key), await listen(user.token)];
    await user.client.request('DELETE', `/auth/api-keys/${key.id}`);
    await eventually(() => Promise.resolve(byKey.ended));
    expect(bySession.ended).toBe(false);
  });
});
