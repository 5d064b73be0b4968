import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type ClientOptions } from 'ws';
import { eventually, localDrivers, localShellDrivers, type Talk, talk as talkTo, TestApi, type TestUser } from '../testing';

/** RFC 6455 §5.2, with a mask of zeros. */
function maskedFrame(opcode: number, text: string): Buffer {
  const payload = Buffer.from(text);
  const size = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  const [first = 0, ...rest] = size;
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | first, ...rest, 0, 0, 0, 0]), payload]);
}

describe.each([
  ['a runtime that is no real one', () => [new FakeDriver({ clock: new SystemClock() })]],
  ['real shells whose sessions are the server’s', localShellDrivers],
  ['real shells that have their sessions beside them, and their sockets', localDrivers],
] as const)('the WebSocket edge, before %s', (_kind, drivers) => {
  const api = new TestApi(drivers, { ALLOWED_ORIGINS: 'https://app.example' });
  let user: TestUser;
  let id: string;
  beforeAll(async () => {
    await api.start();
    user = await api.user('talker');
    id = await running(user, 'one');
  });
  afterAll(() => api.close());

  async function running(owner: TestUser, name: string): Promise<string> {
    const created = await owner.client.request('POST', '/environments', { name, template: 'ubuntu' });
    const environmentId = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await owner.client.environment(environmentId)).status === 'running');
    return environmentId;
  }

  const talk = (path: string, protocols: string[] = [], options: ClientOptions = {}): Talk =>
    talkTo(api.url, path, protocols, options);
  const terminal = (query = `token=${user.token}`, environmentId = id): string => `/api/v1/ws/terminal/${environmentId}?${query}`;
  const said = (conversation: Talk, type: string): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(conversation.messages.find((message) => message.type === type)));

  async function open(query?: string): Promise<Talk> {
    const conversation = talk(terminal(query));
    await said(conversation, 'welcome');
    return conversation;
  }

  it.each([
    ['an unknown path', () => talk(`/api/v1/ws/nothing/${id}?token=${user.token}`), 404, null],
    ['bearer alone', () => talk(terminal(''), [`bearer.${user.token}`]), 400, null],
    ['no credential', () => talk(terminal('')), 4401, 'token_missing'],
    ['a bad token', () => talk(terminal('token=x')), 4401, 'token_invalid'],
    ['a bad ticket', () => talk(terminal('ticket=x')), 4401, 'ticket_invalid'],
    ['a foreign origin', () => talk(terminal(), [], { origin: 'https://evil.example' }), 4403, 'origin_not_allowed'],
    ['a malformed id', () => talk(terminal(undefined, 'x')), 4404, 'not_found'],
    ['an environment that is not there', () => talk(terminal(undefined, '0123456789abcdef01234567')), 4404, 'not_found'],
    ['a session that is not there', () => talk(terminal(`token=${user.token}&session_id=${'0'.repeat(24)}`)), 4404, 'not_found'],
    ['a bad size', () => talk(terminal(`token=${user.token}&cols=0`)), 4404, 'bad_resize'],
  ] as const)('refuses %s', async (_what, connect, code, error) => {
    const conversation = connect();
    expect(await conversation.over).toBe(code);
    if (error !== null) expect(conversation.messages).toEqual([expect.objectContaining({ type: 'error', code: error })]);
  });

  it.each([
    ['an unknown path', `/api/v1/ws/nothing/x`, {}, 404, 'not_found'],
    ['bearer alone', `/api/v1/ws/terminal/x`, { 'Sec-WebSocket-Protocol': 'bearer.x' }, 400, 'malformed_request'],
    ['another version', `/api/v1/ws/terminal/x`, { 'Sec-WebSocket-Version': '12' }, 400, 'malformed_request'],
    ['no key', `/api/v1/ws/terminal/x`, { 'Sec-WebSocket-Key': '' }, 400, 'malformed_request'],
  ] as const)('answers an upgrade that it does not take as any request: %s', async (_what, path, own, status, code) => {
    const key = Buffer.alloc(16).toString('base64');
    const usual = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key };
    const asked = request(`${api.url}${path}`, { headers: { ...usual, ...own, 'X-Request-Id': 'mine' } }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    expect([response.statusCode, response.headers['content-type']]).toEqual([status, 'application/problem+json']);
    expect(response.headers['x-request-id']).toBe('mine');
    expect(JSON.parse(await text(response))).toMatchObject({ type: 'about:blank', status, code, request_id: 'mine' });
  });

  it('tells the id of a request that becomes a socket', async () => {
    const conversation = talk(terminal(), [], { headers: { 'x-request-id': 'mine' } });
    const [response] = (await once(conversation.socket, 'upgrade')) as [IncomingMessage];
    expect(response.headers['x-request-id']).toBe('mine');
    conversation.socket.close();
    await conversation.over;
  });

  it("refuses another user's environment as an absent one", async () => {
    const other = await api.user('stranger');
    const conversation = talk(terminal(`token=${other.token}`));
    expect(await conversation.over).toBe(4404);
    expect(conversation.messages[0]).toMatchObject({ code: 'not_found' });
  });

  it('answers with its own subprotocol, never with the credential', async () => {
    const conversation = talk(terminal(''), ['devpocket.v1.json', `bearer.${user.token}`], { origin: 'https://app.example' });
    const welcome = await said(conversation, 'welcome');
    expect(conversation.socket.protocol).toBe('devpocket.v1.json');
    expect(welcome).toMatchObject({
      resumed: false,
      gap: 0,
      seq: 0,
      replay_until: 0,
      input_seq: 0,
      cols: 80,
      rows: 24,
      environment: { id, name: 'one', template: 'ubuntu', status: 'running' },
    });
    conversation.socket.close();
    await conversation.over;
  });

  it('types, echoes, resizes and tells mistakes without closing', async () => {
    const conversation = await open();
    const send = (message: unknown): void =>
      conversation.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    send({ type: 'input', data: 'echo hi\n', seq: 8 });
    await said(conversation, 'input_ack');
    send({ type: 'ping', id: 'p1' });
    expect(await said(conversation, 'pong')).toEqual({ type: 'pong', id: 'p1' });
    send({ type: 'dance' });
    send({ type: 'resize', cols: 0, rows: 1 });
    send({ type: 'input', data: 'x', seq: 20 });
    await eventually(() => Promise.resolve(conversation.messages.filter(({ type }) => type === 'error').length === 3));
    expect(conversation.messages.filter(({ type }) => type === 'error').map(({ code }) => code)).toEqual([
      'unknown_type',
      'bad_resize',
      'input_gap',
    ]);
    send('exit 4\n');
    expect(await conversation.over).toBe(1000);
    expect(await said(conversation, 'exit')).toEqual({ type: 'exit', code: 4, signal: null, reason: 'exited' });
    expect(conversation.messages.map(({ type, data }) => (type === 'output' ? String(data) : '')).join('')).toContain('hi\r\n');
  });

  it.each([
    ['terminal', () => terminal()],
    ['logs', () => `/api/v1/ws/logs/${id}?token=${user.token}`],
  ] as const)('answers a ping id that it could not write back, on %s, and goes on', async (_what, path) => {
    const conversation = talk(path());
    await eventually(() => Promise.resolve(conversation.messages.length > 0));
    const deep = 20_000;
    conversation.socket.send(`{"type":"ping","id":${'{"0":'.repeat(deep)}1${'}'.repeat(deep)}}`);
    conversation.socket.send(JSON.stringify({ type: 'ping', id: 'x'.repeat(129) }));
    conversation.socket.send(JSON.stringify({ type: 'ping', id: 7 }));
    expect(await said(conversation, 'pong')).toEqual({ type: 'pong', id: 7 });
    expect(conversation.messages.filter(({ type }) => type === 'error').map(({ code }) => code)).toEqual([
      'bad_message',
      'bad_message',
    ]);
    conversation.socket.close();
    await conversation.over;
  });

  it.each([
    ['answers', `{"type":"ping","id":"${'x'.repeat(120)}"}`],
    ['pongs', null],
    ['answers of a log', '{}'],
    ['refusal', 'x'.repeat(1000)],
  ] as const)('takes no more from who does not read its %s', async (what, text) => {
    // Somebody's own: what it sent goes on being read, slowly, after it has gone.
    const flooder = await api.user(`flooder_${what.replaceAll(' ', '')}`);
    const own = await running(flooder, 'one');
    const query = `token=${flooder.token}${what === 'refusal' ? '&cols=0' : ''}`;
    const raw = await rawSocket(what === 'answers of a log' ? `/api/v1/ws/logs/${own}?${query}` : terminal(query, own));
    const frame = text === null ? maskedFrame(9, 'x'.repeat(125)) : maskedFrame(1, text);
    const flood = Buffer.alloc(frame.length * Math.ceil(1_048_576 / frame.length)).fill(frame);
    raw.pause();
    let drained = true;
    raw.on('drain', () => (drained = true)).on('error', () => undefined);
    // The other end takes what it wants while this conversation goes on.
    const conversation = await open();
    for (let round = 0; round < 4_000 && !raw.destroyed; round += 1) {
      if (drained) drained = raw.write(flood);
      const before = conversation.messages.length;
      conversation.socket.send('{"type":"ping"}');
      await eventually(() => Promise.resolve(conversation.messages.length > before));
    }
    expect(raw.bytesWritten - raw.writableLength).toBeLessThan(64 * 1_048_576);
    raw.destroy();
    conversation.socket.close();
    await conversation.over;
  });

  /** A handshake by hand: the rest of the connection is the test's. */
  async function rawSocket(path: string): Promise<Socket> {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    const key = Buffer.alloc(16).toString('base64');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await once(socket, 'data');
    return socket;
  }

  it('lets exactly one of two racing sockets in by a ticket', async () => {
    const answer = await user.client.request('POST', '/tickets', { purpose: 'terminal', environment_id: id });
    const ticket = isRecord(answer) ? String(answer.ticket) : '';
    const both = [talk(terminal(`ticket=${ticket}`)), talk(terminal(`ticket=${ticket}`))];
    const loser = await Promise.race(both.map(async (conversation) => [await conversation.over, conversation] as const));
    expect(loser[0]).toBe(4401);
    const winner = both.find((conversation) => conversation !== loser[1]);
    expect(winner && (await said(winner, 'welcome'))).toMatchObject({ type: 'welcome' });
    winner?.socket.close();
    await winner?.over;
  });

  it('lets a ticket in where it was made for, and uses it up elsewhere', async () => {
    const ticketFor = async (purpose: string): Promise<string> => {
      const answer = await user.client.request('POST', '/tickets', { purpose, environment_id: id });
      return isRecord(answer) ? String(answer.ticket) : '';
    };
    const ticket = await ticketFor('terminal');
    for (const path of [`/api/v1/ws/logs/${id}?ticket=${ticket}`, terminal(`ticket=${ticket}`)]) {
      const refused = talk(path);
      expect([await refused.over, refused.messages[0]?.code]).toEqual([4401, 'ticket_invalid']);
    }
    expect(await talk(terminal(`ticket=${await ticketFor('terminal')}`, '0123456789abcdef01234567')).over).toBe(4401);
    // It counts before any other credential.
    expect(await talk(terminal('ticket=x'), ['devpocket.v1.json', `bearer.${user.token}`]).over).toBe(4401);
    expect(await talk(`/api/v1/ws/logs/${id}?ticket=${await ticketFor('logs')}&follow=false`).over).toBe(1000);
  });

  it.each([
    [{ purpose: 'events', environment_id: '0123456789abcdef01234567' }, 422, 'validation_error'],
    [{ purpose: 'terminal' }, 422, 'validation_error'],
    [{ purpose: 'fun' }, 422, 'validation_error'],
    [{ purpose: 'logs', environment_id: '0123456789abcdef01234567' }, 404, 'not_found'],
  ])('gives no ticket for %p', async (body, status, code) => {
    expect(await api.call('POST', '/tickets', { token: user.token, body })).toMatchObject({ status, body: { code } });
  });

  it('gives a ticket for 30 s', async () => {
    const answer = await api.call('POST', '/tickets', { token: user.token, body: { purpose: 'events' } });
    expect(answer).toMatchObject({ status: 201, body: { expires_in: 30, ticket: expect.any(String) as string } });
  });

  it('takes frames of 8 MiB on a terminal, of which 1 MiB of input, and no larger', async () => {
    const conversation = await open();
    conversation.socket.send(JSON.stringify({ type: 'input', data: '\u0001'.repeat(1_048_577) }));
    expect(await said(conversation, 'error')).toMatchObject({ code: 'input_too_large' });
    conversation.socket.send('{"type":"ping"}');
    await said(conversation, 'pong');
    conversation.socket.send('x'.repeat(8 * 1_048_576 + 1));
    expect(await conversation.over).toBe(1009);
  });

  it('compresses for who asks for it, and for nobody else', async () => {
    const [plain, small] = [await open(), await open(`token=${user.token}&deflate=1`)];
    expect([plain, small].map(({ socket }) => socket.extensions)).toEqual(['', 'permessage-deflate']);
    small.socket.send('seq 2000\n');
    const printed = (): string => small.messages.map(({ type, data }) => (type === 'output' ? String(data) : '')).join('');
    await eventually(() => Promise.resolve(printed().includes('\r\n2000\r\n')));
    for (const { socket, over } of [plain, small]) {
      socket.close();
      await over;
    }
  });

  it('gives the old socket of a client that connects again the word, and keeps its place', async () => {
    const first = await open();
    const { session_id: session, client_id: client } = await said(first, 'welcome');
    const others = await Promise.all([1, 2, 3, 4].map(() => open(`token=${user.token}&session_id=${String(session)}`)));
    const tooMany = talk(terminal());
    expect(await tooMany.over).toBe(4429);
    expect(tooMany.messages[0]).toMatchObject({ code: 'too_many_connections' });
    const again = await open(`token=${user.token}&session_id=${String(session)}&client_id=${String(client)}&after=0`);
    expect(await first.over).toBe(4408);
    expect(await said(again, 'welcome')).toMatchObject({ resumed: true, client_id: client });
    for (const { socket, over } of [...others, again]) {
      socket.close();
      await over;
    }
    const listed = await user.client.request('GET', `/environments/${id}/terminals`);
    expect(Array.isArray(listed) && listed.some((one) => isRecord(one) && one.session_id === session)).toBe(true);
    await user.client.request('DELETE', `/environments/${id}/terminals/${String(session)}`);
  });

  it('opens no shell, and ends none for it, when there is no place for the socket', async () => {
    const busy = await api.user('busy');
    const own = await running(busy, 'one');
    const all = await Promise.all(
      [1, 2, 3, 4, 5].map(async () => {
        const conversation = talk(terminal(`token=${busy.token}`, own));
        await said(conversation, 'welcome');
        return conversation;
      }),
    );
    const shells = async (): Promise<unknown[]> => {
      const listed = (await busy.client.request('GET', `/environments/${own}/terminals`)) as readonly Record<string, unknown>[];
      return listed.map(({ session_id, exit }) => [session_id, exit]);
    };
    const before = await shells();
    expect(await talk(terminal(`token=${busy.token}`, own)).over).toBe(4429);
    expect(await shells()).toEqual(before);
    expect(before).toHaveLength(5);
    for (const { socket, over } of all) {
      socket.close();
      await over;
    }
  });

  it('shows a shell that was closed by request nowhere any more', async () => {
    const conversation = await open();
    const { session_id: session } = await said(conversation, 'welcome');
    const path = `/environments/${id}/terminals`;
    await user.client.request('DELETE', `${path}/${String(session)}`);
    expect(await conversation.over).toBe(1000);
    expect(await said(conversation, 'exit')).toMatchObject({ reason: 'killed' });
    const listed = (await user.client.request('GET', path)) as readonly Record<string, unknown>[];
    expect(listed.map(({ session_id }) => session_id)).not.toContain(session);
    expect(await talk(terminal(`token=${user.token}&session_id=${String(session)}`)).over).toBe(4404);
  });

  it.each([
    ['a path that is no URL', 'GET //[ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 404],
    ['another protocol offered', 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n', 200],
  ])('answers %s as HTTP', async (_what, request, status) => {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(request);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString('latin1')).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    socket.destroy();
  });

  it('lists its sessions, the newest first', async () => {
    const sessions: string[] = [];
    for (const conversation of [await open(), await open()]) {
      sessions.unshift(String((await said(conversation, 'welcome')).session_id));
      conversation.socket.close();
      await conversation.over;
    }
    const listed = await user.client.request('GET', `/environments/${id}/terminals`);
    const own = (Array.isArray(listed) ? (listed as unknown[]) : []).flatMap((one) => (isRecord(one) ? [one.session_id] : []));
    expect(own.filter((session) => sessions.includes(String(session)))).toEqual(sessions);
  });

  it('streams logs, and ends when it should', async () => {
    const path = `/api/v1/ws/logs/${id}?token=${user.token}`;
    const once = talk(`${path}&follow=false`);
    const closed = new Promise((resolve) => once.socket.on('close', (_code, reason) => resolve(reason.toString())));
    expect([await once.over, await closed]).toEqual([1000, 'Log stream complete']);
    expect(once.messages.map(({ type }) => type)).toEqual([...once.messages.slice(1).map(() => 'log'), 'caught_up']);
    for (const wrong of ['lines=0', 'since=2024-366', 'after=%20']) expect(await talk(`${path}&${wrong}`).over).toBe(4404);
    const large = talk(path);
    await said(large, 'caught_up');
    large.socket.send('x'.repeat(1_048_577));
    expect(await large.over).toBe(1009);
  });

  it('closes what a credential opened when it ends, and what an environment had when it goes', async () => {
    const guest = await api.user('guest');
    const own = await running(guest, 'mine');
    const conversation = talk(terminal(`token=${guest.token}`, own));
    await said(conversation, 'welcome');
    await guest.client.request('POST', '/auth/logout');
    expect(await conversation.over).toBe(4401);
    expect(conversation.messages.at(-1)).toMatchObject({ code: 'session_revoked' });

    const owner = await api.user('owner');
    const doomed = await running(owner, 'doomed');
    const attached = talk(terminal(`token=${owner.token}`, doomed));
    await said(attached, 'welcome');
    await owner.client.request('POST', `/environments/${doomed}/stop`);
    expect(await attached.over).toBe(4410);
    expect(await said(attached, 'exit')).toMatchObject({ reason: 'environment_stopped' });
    expect(await said(attached, 'status')).toEqual({
      type: 'status',
      status: 'stopping',
      desired_status: 'stopped',
      status_reason: expect.anything() as unknown,
      status_message: null,
      status_version: expect.any(Number) as number,
    });
    await eventually(async () => (await owner.client.environment(doomed)).status === 'stopped');
    const late = talk(terminal(`token=${owner.token}`, doomed));
    expect(await late.over).toBe(4409);
    expect(late.messages[0]).toMatchObject({ code: 'environment_not_running', status: 'stopped' });
  });

  it('tells everybody to come back when the server restarts', async () => {
    const logs = talk(`/api/v1/ws/logs/${id}?token=${user.token}`);
    const events = talk(`/api/v1/ws/events?token=${user.token}`);
    await said(logs, 'caught_up');
    await eventually(() => Promise.resolve(events.socket.readyState === events.socket.OPEN));
    const all = [await open(), logs, events];
    await api.restart();
    for (const conversation of all) {
      expect(await conversation.over).toBe(1012);
      const goodbye = conversation.messages.find(({ code }) => code === 'restarting');
      expect(Number(goodbye?.retry_after_ms)).toBeGreaterThanOrEqual(200);
      expect(Number(goodbye?.retry_after_ms)).toBeLessThanOrEqual(3000);
    }
  });
});
