import { ApiError } from './rest-client';
import { type Socket, TerminalClient, type TerminalClientOptions } from './terminal-client';

class FakeSocket implements Socket {
  readyState = 1;
  readonly sent: Record<string, unknown>[] = [];
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;

  constructor(readonly url: URL) {}

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Record<string, unknown>);
  }

  close(): void {
    this.readyState = 3;
  }

  /** Resolves when it was sent so many messages. */
  async sentMore(count: number): Promise<void> {
    while (this.sent.length < count && this.readyState === 1) await new Promise((resolve) => setImmediate(resolve));
  }

  say(message: Readonly<Record<string, unknown>>): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  welcome(fields: Readonly<Record<string, unknown>> = {}): void {
    const first = { gap: 0, seq: 0, replay_until: 0, input_seq: 0, cols: 80, rows: 24 };
    this.say({ type: 'welcome', session_id: 's', client_id: 'c', ...first, ...fields });
  }

  over(code: number, error: Readonly<Record<string, unknown>> | null = null): void {
    if (error) this.say({ type: 'error', message: '', ...error });
    this.onclose?.({ code, reason: '' });
  }
}

/** A client on fake sockets. */
class World {
  readonly sockets: FakeSocket[] = [];
  readonly ends: unknown[] = [];
  readonly waits: number[] = [];
  readonly client: TerminalClient;

  constructor(options: Partial<TerminalClientOptions> = {}) {
    this.client = new TerminalClient({
      url: 'http://server',
      environmentId: 'e',
      token: () => Promise.resolve('t'),
      cols: 80,
      rows: 24,
      openSocket: (url) => {
        const socket = new FakeSocket(new URL(url));
        this.sockets.push(socket);
        return socket;
      },
      backoff: () => 1,
      onOutput: () => undefined,
      onDisconnected: () => this.waits.push(performance.now()),
      onEnd: ({ code, error }) => this.ends.push([code, error]),
      ...options,
    });
    this.client.connect();
  }

  /** The n-th connection, from 1. */
  async socket(n: number): Promise<FakeSocket> {
    const end = performance.now() + 10_000;
    for (;;) {
      const socket = this.sockets[n - 1];
      if (socket) return socket;
      if (this.ends.length > 0 || performance.now() > end) throw new Error(`no connection ${n}: ${JSON.stringify(this.ends)}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe('a terminal client', () => {
  let world: World;
  afterEach(() => world.client.close());

  it('resends what was not acknowledged, from where the server has it', async () => {
    world = new World();
    const first = await world.socket(1);
    first.welcome();
    for (const text of ['ab', 'cd', 'ef']) world.client.input(text);
    first.say({ type: 'input_ack', seq: 2 });
    first.say({ type: 'output', data: 'x'.repeat(7), seq: 7 });
    first.over(1006);
    const second = await world.socket(2);
    expect(Object.fromEntries(second.url.searchParams)).toMatchObject({ session_id: 's', client_id: 'c', after: '7', ack: '1' });
    second.welcome({ seq: 7, input_seq: 4 });
    expect(second.sent).toEqual([{ type: 'input', data: 'ef', seq: 6 }]);
  });

  it('counts on from what its client id has typed before, also with what is typed before the welcome', async () => {
    world = new World({ sessionId: 's', clientId: 'c' });
    world.client.input('ab');
    const first = await world.socket(1);
    first.welcome({ input_seq: 1_000 });
    world.client.input('c');
    expect(first.sent).toEqual([
      { type: 'input', data: 'ab', seq: 1_002 },
      { type: 'input', data: 'c', seq: 1_003 },
    ]);
    first.say({ type: 'input_ack', seq: 1_002 });
    expect(world.client.unacknowledged).toBe(1);
  });

  it('tells how many bytes are not acknowledged', async () => {
    world = new World();
    (await world.socket(1)).welcome();
    world.client.input('äö');
    expect(world.client.unacknowledged).toBe(4);
  });

  it('comes back when the server has said, not before', async () => {
    world = new World();
    (await world.socket(1)).over(1012, { code: 'restarting', retry_after_ms: 300 });
    await world.socket(2);
    expect(performance.now() - (world.waits[0] ?? 0)).toBeGreaterThanOrEqual(299);
  });

  it('goes on trying when a token cannot be had for now, and gives up when it is refused', async () => {
    const answers = [new TypeError('fetch failed'), new ApiError(503, 'unavailable', 'down', {}), null];
    world = new World({
      token: () => {
        const answer = answers.shift();
        if (answer === undefined) return Promise.reject(new ApiError(401, 'session_revoked', 'over', {}));
        return answer ? Promise.reject(answer) : Promise.resolve('t');
      },
    });
    const first = await world.socket(1);
    first.welcome();
    first.over(1006);
    await expect(world.socket(2)).rejects.toThrow('over');
    expect(world.ends).toEqual([[4401, 'over']]);
  });

  it('gives up a connection that answers no ping, and one that never comes about', async () => {
    world = new World({ pingEveryMs: 5 });
    const first = await world.socket(1);
    first.welcome();
    await world.socket(2);
    expect(first.sent).toEqual([{ type: 'ping' }]);
    const third = await world.socket(3); // the second has not said welcome
    expect([first.readyState, third.readyState]).toEqual([3, 1]);
  });

  it('stays on a connection that answers its pings', async () => {
    world = new World({ pingEveryMs: 5 });
    const socket = await world.socket(1);
    socket.welcome();
    for (let n = 1; n <= 4; n += 1) {
      await socket.sentMore(n);
      socket.say({ type: 'pong' });
    }
    expect(world.sockets).toHaveLength(1);
  });

  it.each([
    [4401, 'token_expired', false],
    [4401, 'session_revoked', true],
    [4404, 'bad_after', true],
    [4408, 'replaced', true],
    [4410, null, true],
    [4429, 'session_limit', false],
    [1011, 'unavailable', false],
    [1006, null, false],
  ])('closed with %i %s it gives up: %s', async (code, error, forGood) => {
    world = new World();
    (await world.socket(1)).over(code, error === null ? null : { code: error });
    if (!forGood) await world.socket(2);
    expect(world.ends).toEqual(forGood ? [[code, error]] : []);
  });
});
