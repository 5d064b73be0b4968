import { type DomainError } from '@devpocket/kernel';
import { RuntimeError, type TerminalChannel, type TerminalExit, type TerminalRequest } from '@devpocket/runtime';
import { ManualClock } from '@testing/kernel';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import { type Connection, readError, readSessions, type SessionCall, type SessionNews } from './session-calls';
import { SessionServer } from './session-server';
import { type TerminalQuery } from './query.protocol';

const CONFIGURE = { call: 'configure', maxSessionsPerEnvironment: 2, stallSeconds: 600, bufferBytes: 65_536 } as const;
const E1 = { id: 'e1', name: 'one', template: 'ubuntu', status: 'running' };
const NEW: TerminalQuery = {
  cols: null,
  rows: null,
  sessionId: null,
  after: null,
  clientId: null,
  acks: false,
  view: false,
};

/** A shell that prints what it is told to, and keeps what is typed. */
class Shell implements TerminalChannel {
  readonly createdAt = new Date(0);
  readonly start = 0;
  readonly kept = 0;
  readonly inputMarks = new Map<string, number>();
  readonly ended: Promise<TerminalExit>;
  readonly cols: number;
  readonly rows: number;
  readonly sessionId: string;
  typed = '';
  print: (chunk: Buffer) => void = () => undefined;
  private settle: (exit: TerminalExit) => void = () => undefined;

  constructor({ sessionId, cols, rows }: TerminalRequest) {
    this.sessionId = sessionId;
    this.cols = cols;
    this.rows = rows;
    this.ended = new Promise((resolve) => (this.settle = resolve));
  }

  attach(onOutput: (chunk: Buffer) => void): void {
    this.print = onOutput;
  }

  allow(): void {
    return;
  }

  write(bytes: Buffer): Promise<void> {
    this.typed += bytes.toString();
    return Promise.resolve();
  }

  resize(): Promise<void> {
    return Promise.resolve();
  }

  kill(): Promise<void> {
    this.settle({ code: null, signal: 'SIGHUP', reason: 'killed' });
    return Promise.resolve();
  }

  detach(): void {
    return;
  }

  foregroundBusy(): Promise<boolean | null> {
    return Promise.resolve(false);
  }
}

describe('a process that holds sessions and sockets', () => {
  let clock: ManualClock;
  const shells: Shell[] = [];
  const news: SessionNews[] = [];
  const given = new Map<string, Socket>();
  let running: (environmentId: string) => boolean = () => true;
  let edge: Server;
  let server: SessionServer;
  let ids = 0;
  const open: WebSocket[] = [];
  beforeAll(async () => {
    // Stands for the server: connections are given on with their handshake unanswered.
    edge = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => given.set(`c${given.size}`, socket));
    edge.listen(0, '127.0.0.1');
    await once(edge, 'listening');
  });
  beforeEach(async () => {
    clock = new ManualClock();
    running = () => true;
    shells.splice(0);
    news.splice(0);
    const needs = {
      bufferBytes: 65_536,
      open: (environmentId: string, request: TerminalRequest): TerminalChannel => {
        if (!running(environmentId)) throw new RuntimeError('gone', 'not there');
        const shell = new Shell(request);
        shells.push(shell);
        return shell;
      },
      tell: (one: SessionNews) => void news.push(one),
      connection: (name: string): Socket | null => {
        const socket = given.get(name) ?? null;
        socket?.resume();
        return socket;
      },
      log: () => undefined,
    };
    server = new SessionServer(needs, clock);
    await ask(CONFIGURE);
  });
  afterEach(() => {
    for (const socket of open.splice(0)) socket.terminate();
    server.lost();
  });
  afterAll(() => {
    for (const socket of given.values()) socket.destroy();
    edge.close();
  });

  async function ask(call: SessionCall): Promise<unknown> {
    const answer = await server.answer(call);
    if ('error' in answer) throw readError(answer.error);
    return answer.value;
  }

  interface Talk {
    readonly id: number;
    readonly socket: WebSocket;
    readonly messages: Record<string, unknown>[];
    readonly said: (type: string) => Promise<Record<string, unknown>>;
    readonly over: Promise<number>;
  }

  /** A client whose connection has been given here, its handshake answered. */
  async function client(protocols: readonly string[] = [], own: Partial<Connection> = {}): Promise<Talk> {
    const before = given.size;
    const { port } = edge.address() as AddressInfo;
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, [...protocols], { perMessageDeflate: true });
    open.push(socket);
    const messages: Record<string, unknown>[] = [];
    const waiting = new Set<() => void>();
    socket.on('message', (data: Buffer) => {
      messages.push(JSON.parse(data.toString('utf8')) as Record<string, unknown>);
      for (const look of waiting) look();
    });
    const over = new Promise<number>((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    const said = (type: string): Promise<Record<string, unknown>> =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = messages.find((message) => message.type === type);
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      });
    await once(edge, 'connection');
    const raw = given.get(`c${before}`);
    raw?.resume();
    const [request] = (raw ? await once(raw, 'data') : []) as [Buffer];
    raw?.pause();
    const headers: Record<string, string> = {};
    for (const [, name = '', value = ''] of request.toString().matchAll(/^([\w-]+): (.*)\r$/gm))
      headers[name.toLowerCase()] = value;
    ids += 1;
    const id = ids;
    const connection: Connection = {
      name: `c${before}`,
      method: 'GET',
      headers,
      head: '',
      deflates: false,
      requestId: 'r1',
      ...own,
    };
    const opened = once(socket, 'open');
    await ask({ call: 'connection', id, ...connection });
    await opened;
    return { id, socket, messages, said, over };
  }

  async function entered(query: Partial<TerminalQuery> = {}): Promise<Talk & { readonly sessionId: string }> {
    const talk = await client();
    await ask({ call: 'enter', id: talk.id, environment: E1, query: { ...NEW, ...query } });
    return { ...talk, sessionId: String((await talk.said('welcome')).session_id) };
  }

  const closed = async (id: number): Promise<void> => {
    while (!news.some((one) => one.news === 'closed' && one.id === id)) await new Promise((resolve) => setImmediate(resolve));
  };

  it('answers a handshake as its server would: protocol, request id, and compression for who asked', async () => {
    const heads: Record<string, unknown>[] = [];
    const before = given.size;
    const plain = client(['devpocket.v1.binary']);
    open.at(-1)?.on('upgrade', ({ headers }) => heads.push(headers));
    const { socket } = await plain;
    expect([socket.protocol, socket.extensions]).toEqual(['devpocket.v1.binary', '']);
    expect(heads[0]).toMatchObject({ 'x-request-id': 'r1' });
    expect((await client([], { deflates: true })).socket.extensions).toBe('permessage-deflate');
    expect(given.size).toBe(before + 2);
  });

  it('answers a handshake that cannot be understood as any request, and says that there is no socket', async () => {
    const { port } = edge.address() as AddressInfo;
    const before = given.size;
    const raw = connect(port, '127.0.0.1');
    await once(edge, 'connection');
    const connection = { name: `c${before}`, method: 'GET', head: '', deflates: false, requestId: 'r2' };
    const headers = { upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'short' };
    await expect(ask({ call: 'connection', id: 9_999, ...connection, headers })).rejects.toMatchObject({ code: 'unavailable' });
    let text = '';
    raw.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(raw, 'close');
    expect(text).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(JSON.parse(text.slice(text.indexOf('{')))).toMatchObject({ status: 400, code: 'malformed_request', request_id: 'r2' });
  });

  it('knows no connection that was not given to it', async () => {
    const connection = { name: 'nobody', method: 'GET', head: '', headers: {}, deflates: false, requestId: 'r' };
    await expect(ask({ call: 'connection', id: 9_998, ...connection })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('reads what came with the handshake, behind whoever puts the socket on a session', async () => {
    const payload = Buffer.from('{"type":"input","data":"early"}');
    const frame = Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
    const talk = await client([], { head: frame.toString('base64') });
    expect(shells).toEqual([]);
    await ask({ call: 'enter', id: talk.id, environment: E1, query: NEW });
    await talk.said('welcome');
    talk.socket.send('{"type":"ping"}');
    await talk.said('pong');
    expect(shells[0]?.typed).toBe('early');
  });

  it('passes between client and shell, and tells its server only that somebody is there', async () => {
    const { socket, said, sessionId, messages } = await entered({ cols: 100, rows: 30 });
    expect(await said('welcome')).toMatchObject({ environment: E1, cols: 100, rows: 30, resumed: false, seq: 0 });
    socket.send('{"type":"input","data":"ls\\n","seq":3}');
    expect(await said('input_ack')).toEqual({ type: 'input_ack', seq: 3 });
    shells[0]?.print(Buffer.from('file\r\n'));
    expect(await said('output')).toEqual({ type: 'output', data: 'file\r\n', seq: 6 });
    expect([shells[0]?.typed, news]).toEqual(['ls\n', []]);
    clock.push(1_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(news).toEqual([{ news: 'activity', environmentIds: ['e1'], printed: 6, alive: 1 }]);
    const listed = readSessions(JSON.parse(JSON.stringify(await ask({ call: 'list', environmentId: 'e1' }))));
    expect(listed).toMatchObject([{ sessionId, attached: 1, cols: 100, rows: 30, exit: null }]);
    expect(messages.filter(({ type }) => type === 'error')).toEqual([]);
  });

  it('lets a client come back to its session, and says whether it is at it', async () => {
    const { socket, id, sessionId } = await entered({ clientId: 'phone' });
    const holds = { call: 'holds', environmentId: 'e1', sessionId } as const;
    expect(await ask({ ...holds, clientId: 'phone' })).toBe(true);
    expect(await ask({ ...holds, clientId: 'other' })).toBe(false);
    await expect(ask({ ...holds, environmentId: 'e2', clientId: null })).rejects.toMatchObject({ code: 'not_found' });
    shells[0]?.print(Buffer.from('abc'));
    socket.terminate();
    await closed(id);
    expect(await ask({ ...holds, clientId: 'phone' })).toBe(false);
    const back = await client();
    const query = { ...NEW, sessionId, clientId: 'phone', after: 1 };
    expect(await ask({ call: 'enter', id: back.id, environment: E1, query })).toBe('complete');
    expect(await back.said('output')).toEqual({ type: 'output', data: 'bc', seq: 3 });
    const late = await client();
    expect(await ask({ call: 'enter', id: late.id, environment: E1, query: { ...query, after: 4 } })).toBe('bad_after');
    expect(await late.over).toBe(4404);
  });

  it('opens so many shells as its server says, and ends one that nobody waited for', async () => {
    const [first] = [await entered(), await entered()];
    const third = await client();
    const refused = ask({ call: 'enter', id: third.id, environment: E1, query: NEW });
    await expect(refused).rejects.toMatchObject({ kind: 'rate_limited', code: 'session_limit', retryAfter: 5 } as DomainError);
    await ask({ call: 'remove', environmentId: 'e1', sessionId: first.sessionId });
    expect(await first.said('exit')).toMatchObject({ reason: 'killed' });
    // It goes in the moment in which its shell is opened.
    const entering = ask({ call: 'enter', id: third.id, environment: E1, query: NEW });
    await ask({ call: 'terminate', id: third.id });
    expect(await entering).toBeNull();
    expect(await ask({ call: 'list', environmentId: 'e1' })).toHaveLength(1);
    expect(await ask({ call: 'enter', id: 9_997, environment: E1, query: NEW })).toBeNull();
  });

  it('tells a server that has just come how many shells there are, and takes what it says of the next', async () => {
    await entered();
    const look = async (): Promise<void> => {
      clock.push(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await look();
    expect(news).toMatchObject([{ news: 'activity', alive: 1 }]);
    await look();
    expect(news).toHaveLength(1);
    await ask({ ...CONFIGURE, bufferBytes: 1_024 });
    await look();
    expect(news).toMatchObject([{ alive: 1 }, { alive: 1 }]);
    const { sessionId } = await entered();
    shells.at(-1)?.print(Buffer.alloc(4_096, 'x'));
    const back = await client();
    await ask({ call: 'enter', id: back.id, environment: E1, query: { ...NEW, sessionId, after: 0 } });
    expect(await back.said('welcome')).toMatchObject({ seq: 3_072, gap: 3_072 });
  });

  it('says that an environment does not run', async () => {
    running = () => false;
    const { id } = await client();
    await expect(server.answer({ call: 'enter', id, environment: E1, query: NEW })).rejects.toMatchObject({ kind: 'gone' });
  });

  it('tells and closes what its server says, and hears which sockets are about to close', async () => {
    const { id, over, messages } = await entered();
    await ask({ call: 'send', id, message: { type: 'error', code: 'token_expired' } });
    expect(await ask({ call: 'closing' })).toEqual([]);
    await ask({ call: 'close', id, code: 4401, reason: 'token_expired' });
    expect(await ask({ call: 'closing' })).toEqual([id]);
    expect(await over).toBe(4401);
    expect(messages.at(-1)).toMatchObject({ code: 'token_expired' });
    await closed(id);
    expect(await ask({ call: 'closing' })).toEqual([]);
    expect(await ask({ call: 'send', id, message: {} })).toBeNull();
  });

  it.each([
    [true, []],
    [false, ['The token is another user’s']],
    [null, ['The token is not valid']],
  ] as const)('asks its server whose a fresh token is: %p', async (own, errors) => {
    const { id, socket, said, messages } = await entered();
    socket.send('{"type":"auth","token":"fresh"}');
    while (!news.some((one) => one.news === 'renew')) await new Promise((resolve) => setImmediate(resolve));
    const asked = news.find((one) => one.news === 'renew');
    expect(asked).toEqual({ news: 'renew', id, ask: 1, token: 'fresh' });
    await ask({ call: 'renewed', ask: 1, own });
    socket.send('{"type":"ping"}');
    await said('pong');
    expect(messages.filter(({ type }) => type === 'error').map(({ message }) => message)).toEqual(errors);
  });

  it('says what became of an environment, and forgets the shells of one that is deleted', async () => {
    const { said, over } = await entered();
    const told = { call: 'told', environmentId: 'e1', message: { type: 'status', status: 'deleting' } } as const;
    await ask({ ...told, environmentId: 'e2', runs: false, deleted: true });
    await ask({ ...told, runs: false, deleted: true });
    expect(await said('status')).toEqual({ type: 'status', status: 'deleting' });
    expect(await said('exit')).toMatchObject({ reason: 'environment_stopped' });
    expect(await over).toBe(4410);
    await ask({ call: 'forget', environmentId: 'e1' });
    expect(await ask({ call: 'list', environmentId: 'e1' })).toEqual([]);
  });

  it.each(['leave', 'lost'] as const)('has everybody come back when its server goes: %s', async (way) => {
    const { said, over, sessionId, socket } = await entered();
    socket.send('{"type":"auth","token":"fresh"}');
    while (!news.some((one) => one.news === 'renew')) await new Promise((resolve) => setImmediate(resolve));
    if (way === 'leave') await ask({ call: 'leave' });
    else server.lost();
    expect(await said('error')).toMatchObject({ code: 'restarting', retry_after_ms: expect.any(Number) as number });
    expect(await over).toBe(1012);
    const back = await client();
    expect(await ask({ call: 'enter', id: back.id, environment: E1, query: { ...NEW, sessionId, after: 0 } })).toBe('complete');
  });

  it('drops a client that says nothing for a minute', async () => {
    const { id, over, socket } = await entered();
    socket.pause();
    for (let second = 0; second < 61; second += 1) {
      clock.push(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed(id);
    socket.resume();
    expect(await over).toBe(1006);
  });
});
