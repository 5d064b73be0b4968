import { ApiError } from './rest-client';
import { TerminalClient } from './terminal-client';
import { type Socket, type TerminalClientOptions } from './terminal-options';

class FakeSocket implements Socket {
  readyState = 1;
  binaryType = 'blob';
  readonly sent: Record<string, unknown>[] = [];
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;

  constructor(
    readonly url: URL,
    readonly offered: readonly string[],
    readonly protocol: string,
  ) {}

  send(data: string | Uint8Array): void {
    const frame = Buffer.from(data);
    if (typeof data === 'string') this.sent.push(JSON.parse(data) as Record<string, unknown>);
    else if (frame[0] === 2) this.sent.push({ framed: JSON.parse(frame.toString('utf8', 1)) as unknown });
    else this.sent.push({ opcode: frame[0], seq: frame.readUIntBE(1, 6), data: frame.toString('utf8', 7) });
  }

  close(): void {
    this.readyState = 3;
  }

  /** Resolves when it was sent so many messages. */
  async sentMore(count: number): Promise<void> {
    while (this.sent.length < count && this.readyState === 1) await new Promise((resolve) => setImmediate(resolve));
  }

  say(message: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify(message);
    this.onmessage?.({ data: this.protocol.endsWith('binary') ? arrayBuffer(Buffer.from(`\u0002${text}`)) : text });
  }

  /** Output of the binary subprotocol. */
  print(bytes: Buffer | string, seq: number): void {
    const head = Buffer.from([1, 0, 0, 0, 0, 0, 0]);
    head.writeUIntBE(seq, 1, 6);
    this.onmessage?.({ data: arrayBuffer(Buffer.concat([head, Buffer.from(bytes)])) });
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

/** As a browser hands a frame over. */
const arrayBuffer = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer;

/** A client on fake sockets. */
class World {
  readonly sockets: FakeSocket[] = [];
  readonly ends: unknown[] = [];
  readonly waits: number[] = [];
  readonly client: TerminalClient;
  /** What the server speaks. */
  spoken = 'devpocket.v1.json';

  constructor(options: Partial<TerminalClientOptions> = {}) {
    this.client = new TerminalClient({
      url: 'http://server',
      environmentId: 'e',
      token: () => Promise.resolve('t'),
      cols: 80,
      rows: 24,
      openSocket: (url, offered) => {
        const socket = new FakeSocket(new URL(url), offered, this.spoken);
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

  it('counts anew where its count was forgotten', async () => {
    world = new World();
    const first = await world.socket(1);
    first.welcome({ input_seq: 500 });
    world.client.input('ab');
    first.say({ type: 'input_ack', seq: 502 });
    first.over(1006);
    world.client.input('é');
    world.client.input('x');
    const second = await world.socket(2);
    second.welcome({ input_seq: 0 });
    world.client.input('y');
    expect(second.sent).toEqual([
      { type: 'input', data: 'éx', seq: 3 },
      { type: 'input', data: 'y', seq: 4 },
    ]);
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

  it('sends in few pieces what was typed key by key while there was no connection', async () => {
    world = new World();
    const first = await world.socket(1);
    for (let n = 0; n < 20_000; n += 1) world.client.input('é');
    first.welcome();
    expect(first.sent.map(({ data, seq }) => [String(data).length, seq])).toEqual([
      [16_384, 32_768],
      [3_616, 40_000],
    ]);
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

  it('goes on behind a screen that it asked for', async () => {
    const screens: unknown[] = [];
    world = new World({ onScreen: (screen) => screens.push(screen) });
    const first = await world.socket(1);
    world.client.paint(); // before the welcome there is nothing to be painted
    first.welcome();
    world.client.paint();
    first.say({ type: 'screen', seq: 500, cols: 80, rows: 24, data: 'painted' });
    expect(first.sent).toEqual([{ type: 'screen' }, { type: 'ack', seq: 500 }]);
    expect(screens).toEqual([{ seq: 500, cols: 80, rows: 24, data: 'painted' }]);
    first.over(1006);
    expect((await world.socket(2)).url.searchParams.get('after')).toBe('500');
  });

  it('leaves when what was typed is taken, and stays away', async () => {
    world = new World();
    const socket = await world.socket(1);
    socket.welcome();
    world.client.input('ab');
    world.client.leave();
    expect(world.ends).toEqual([]);
    socket.say({ type: 'input_ack', seq: 2 });
    expect(world.ends).toEqual([[1000, null]]);
  });

  it('leaves also where nobody takes what was typed', async () => {
    world = new World();
    (await world.socket(1)).welcome();
    world.client.input('ab');
    world.client.leave(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(world.ends).toEqual([[1000, null]]);
  });
});

describe('a terminal client in the binary subprotocol', () => {
  const printed: unknown[] = [];
  const bytes: Buffer[] = [];
  let world: World;
  beforeEach(() => {
    printed.length = 0;
    bytes.length = 0;
    world = new World({
      protocol: 'binary',
      onOutput: (...output) => printed.push(output),
      onBytes: (data) => void bytes.push(Buffer.from(data)),
      onGap: (missing) => printed.push(missing),
    });
    world.spoken = 'devpocket.v1.binary';
  });
  afterEach(() => world.client.close());

  it('offers both and takes bytes as ArrayBuffers', async () => {
    const { offered, binaryType } = await world.socket(1);
    expect([offered, binaryType]).toEqual([['devpocket.v1.binary', 'devpocket.v1.json', 'bearer.t'], 'arraybuffer']);
  });

  it('counts what it types and is told beyond 32 bits', async () => {
    const first = await world.socket(1);
    const far = 5 * 2 ** 32 + 7;
    first.welcome({ input_seq: far, seq: far });
    world.client.input('ä');
    world.client.resize(90, 30);
    first.print('x', far + 1);
    expect(first.sent).toEqual([{ opcode: 0, seq: far + 2, data: 'ä' }, { framed: { type: 'resize', cols: 90, rows: 30 } }]);
    expect(printed).toEqual([['x', far + 1, false]]);
    first.say({ type: 'input_ack', seq: far + 2 });
    expect([world.client.position, world.client.unacknowledged]).toEqual([far + 1, 0]);
  });

  it('resends what was not acknowledged and goes on behind the last byte', async () => {
    const first = await world.socket(1);
    first.welcome();
    for (const text of ['ab', 'cd']) world.client.input(text);
    first.print('out', 3);
    first.over(1006);
    const second = await world.socket(2);
    expect(Object.fromEntries(second.url.searchParams)).toMatchObject({ session_id: 's', client_id: 'c', after: '3', ack: '1' });
    second.welcome({ seq: 3, input_seq: 2 });
    expect(second.sent).toEqual([{ opcode: 0, seq: 4, data: 'cd' }]);
  });

  it('acknowledges every 32 KiB', async () => {
    const socket = await world.socket(1);
    socket.welcome();
    for (let at = 8_192; at <= 65_536; at += 8_192) socket.print(Buffer.alloc(8_192, 'x'), at);
    expect(socket.sent).toEqual([32_768, 65_536].map((seq) => ({ framed: { type: 'ack', seq } })));
  });

  it('acknowledges what takes time to render when it is rendered', async () => {
    world.client.close();
    let render = (): void => undefined;
    world = new World({ protocol: 'binary', onBytes: () => new Promise((resolve) => (render = resolve)) });
    world.spoken = 'devpocket.v1.binary';
    const socket = await world.socket(1);
    socket.welcome();
    socket.print(Buffer.alloc(40_000), 40_000);
    expect(socket.sent).toEqual([]);
    render();
    await socket.sentMore(1);
    expect(socket.sent).toEqual([{ framed: { type: 'ack', seq: 40_000 } }]);
  });

  it('puts characters together over frames and cuts, gives bytes as they came, and begins anew behind a gap', async () => {
    const first = await world.socket(1);
    first.welcome();
    const smile = Buffer.from('\ufeff😀');
    first.print(smile.subarray(0, 5), 5);
    first.over(1006);
    const second = await world.socket(2);
    second.welcome({ seq: 5 });
    second.print(smile.subarray(5), 7);
    second.print(smile.subarray(3, 5), 9);
    second.say({ type: 'gap', bytes: 90, seq: 99 });
    second.print('é', 101);
    expect(printed).toEqual([['\ufeff', 5, false], ['😀', 7, false], 90, ['é', 101, false]]);
    expect(Buffer.concat(bytes).toString('hex')).toBe(
      Buffer.concat([smile, smile.subarray(3, 5), Buffer.from('é')]).toString('hex'),
    );
  });

  it('speaks JSON with a server that chooses it, now or at the next connection', async () => {
    const first = await world.socket(1);
    first.welcome();
    first.print('é', 2);
    world.client.input('ab');
    world.spoken = 'devpocket.v1.json';
    first.over(1006);
    const second = await world.socket(2);
    second.welcome({ seq: 2 });
    second.say({ type: 'output', data: 'ü', seq: 4 });
    expect(second.sent).toEqual([{ type: 'input', data: 'ab', seq: 2 }]);
    expect(printed).toEqual([
      ['é', 2, false],
      ['ü', 4, false],
    ]);
    expect(Buffer.concat(bytes).toString()).toBe('éü');
  });

  it('ignores frames that it does not know', async () => {
    const socket = await world.socket(1);
    socket.welcome();
    for (const frame of [[], [9, 1], [1, 0]]) socket.onmessage?.({ data: arrayBuffer(Buffer.from(frame)) });
    socket.onmessage?.({ data: JSON.stringify({ type: 'pong' }) });
    expect([printed, world.ends, world.sockets.length]).toEqual([[], [], 1]);
  });
});
