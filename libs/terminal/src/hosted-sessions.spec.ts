import { type Principal } from '@devpocket/access';
import { type ActivityRecorder, type EnvironmentsService, type LocatedEnvironment } from '@devpocket/environments';
import { type EdgeConnection, type EdgeSocket } from '@devpocket/http';
import { RuntimeError, RuntimeRegistry, type SessionProcess } from '@devpocket/runtime';
import { type SessionCall, type SessionNews } from '@devpocket/terminal-session';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { once } from 'node:events';
import { type IncomingMessage } from 'node:http';
import { connect, createServer, type Server, type AddressInfo, type Socket } from 'node:net';
import { HandedSocket } from './handed-socket';
import { HostedSessions } from './hosted-sessions';

const ENVIRONMENT: LocatedEnvironment = {
  id: 'e',
  userId: 'u',
  name: 'one',
  template: 'ubuntu',
  status: 'running',
  statusVersion: 1,
  runtimeKind: 'local',
  place: { environmentId: 'e', userId: 'u', clusterId: null },
  incarnation: 1,
};

/** A process that does what a test says. */
class Process implements SessionProcess {
  readonly calls: SessionCall[] = [];
  readonly given: number[] = [];
  answer: (call: SessionCall) => Promise<unknown> = () => Promise.resolve(null);
  refusals = 0;
  say: (news: SessionNews) => void = () => undefined;
  die: () => void = () => undefined;

  async call(message: object): Promise<unknown> {
    this.calls.push(message as SessionCall);
    return { value: await this.answer(message as SessionCall) };
  }

  give(descriptor: number): string {
    if (this.refusals > 0) {
      this.refusals -= 1;
      throw new RuntimeError('unreachable', 'nobody listens');
    }
    this.given.push(descriptor);
    return `name${this.given.length}`;
  }

  listen(onMessage: (message: unknown) => void, onLost: () => void): void {
    this.say = onMessage;
    this.die = onLost;
  }
}

describe('clients that are handed to the process that holds their sessions', () => {
  let process: Process;
  let hosted: HostedSessions;
  let server: Server;
  let client: Socket;
  let stream: Socket;
  let touched: string[];
  let located: LocatedEnvironment | null;
  beforeEach(async () => {
    process = new Process();
    touched = [];
    located = ENVIRONMENT;
    const driver = new FakeDriver({ clock: new SystemClock() });
    const runtimes = new RuntimeRegistry([Object.assign(driver, { kind: 'local', sessionProcess: () => process })]);
    const locate = (): Promise<LocatedEnvironment> =>
      located ? Promise.resolve(located) : Promise.reject(new Error('not found'));
    hosted = new HostedSessions(
      runtimes,
      { locate } as unknown as EnvironmentsService,
      { bufferBytes: 65_536, maxSessionsPerEnvironment: 3, maxConnectionsPerUser: 5, stallSeconds: 600 },
      { touch: (id: string) => void touched.push(id) } as unknown as ActivityRecorder,
    );
    hosted.onApplicationBootstrap();
    server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    [stream] = (await once(server, 'connection')) as [Socket];
  });
  afterEach(() => {
    client.destroy();
    stream.destroy();
    server.close();
  });

  const take = (own: Partial<EdgeConnection> = {}): Promise<EdgeSocket | null> =>
    hosted.take({
      request: {
        method: 'GET',
        headers: {
          upgrade: 'websocket',
          'sec-websocket-key': 'k',
          'sec-websocket-protocol': 'devpocket.v1.json, bearer.secret',
          authorization: 'Bearer secret',
          cookie: 'secret',
        },
      } as unknown as IncomingMessage,
      stream,
      head: Buffer.from('he'),
      principal: { userId: 'u' } as Principal,
      byTicket: false,
      environmentId: 'e',
      query: new URLSearchParams('token=secret'),
      protocol: 'devpocket.v1.json',
      deflates: false,
      requestId: 'r',
      ...own,
    });
  const handed = async (): Promise<HandedSocket> => {
    const edge = await take();
    if (!(edge?.socket instanceof HandedSocket)) throw new Error('not handed');
    return edge.socket;
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('go with what was read of them and what an answer needs, and without a credential', async () => {
    client.write('ad');
    await once(stream, 'readable');
    await handed();
    expect(process.given).toHaveLength(1);
    expect(stream.destroyed).toBe(true);
    expect(process.calls).toEqual([
      { call: 'configure', maxSessionsPerEnvironment: 3, stallSeconds: 600, bufferBytes: 65_536 },
      { call: 'closing' },
      {
        call: 'connection',
        id: 1,
        name: 'name1',
        method: 'GET',
        headers: { upgrade: 'websocket', 'sec-websocket-key': 'k', 'sec-websocket-protocol': 'devpocket.v1.json' },
        head: Buffer.from('head').toString('base64'),
        deflates: false,
        requestId: 'r',
      },
    ]);
    expect(JSON.stringify(process.calls)).not.toContain('secret');
  });

  it('stay here when there is something wrong with them, or nobody to hand them to', async () => {
    located = null;
    expect(await take()).toBeNull();
    located = { ...ENVIRONMENT, runtimeKind: 'docker' };
    expect(await take()).toBeNull();
    expect(hosted.has(located)).toBe(false);
    located = ENVIRONMENT;
    process.refusals = 2;
    expect(await take()).toBeNull();
    expect([stream.destroyed, process.given, hosted.has(located)]).toEqual([false, [], true]);
    stream.destroy();
    expect(await take()).toBeNull();
    await hosted.onModuleDestroy();
    expect(process.calls.at(-1)).toEqual({ call: 'leave' });
    expect(await take()).toBeNull();
  });

  it('bring up another process when there is none', async () => {
    process.refusals = 1;
    await handed();
    expect(process.calls.map(({ call }) => call)).toEqual(['configure', 'closing', 'closing', 'connection']);
  });

  it('are ended there, too, when it is not known what became of them', async () => {
    process.answer = ({ call }) =>
      call === 'connection' ? Promise.reject(new RuntimeError('unreachable', 'late')) : Promise.resolve(null);
    const socket = await handed();
    const closed = once(socket, 'close');
    await closed;
    expect(socket.readyState).toBe(socket.CLOSED);
    expect(process.calls.at(-1)).toEqual({ call: 'terminate', id: 1 });
  });

  it('are told, closed and heard of', async () => {
    const socket = await handed();
    socket.send('{"type":"error"}', {});
    socket.close(4401, 'why');
    socket.close(4401, 'again');
    socket.terminate();
    expect(process.calls.slice(3)).toEqual([
      { call: 'send', id: 1, message: { type: 'error' } },
      { call: 'close', id: 1, code: 4401, reason: 'why' },
      { call: 'terminate', id: 1 },
    ]);
    let closes = 0;
    socket.on('close', () => (closes += 1));
    process.say({ news: 'closed', id: 1 });
    process.say({ news: 'closed', id: 1 });
    process.die();
    socket.terminate();
    expect([closes, socket.readyState, process.calls.length]).toEqual([1, socket.CLOSED, 6]);
  });

  it('are gone with their process, whose follower is told the settings', async () => {
    const socket = await handed();
    process.say({ news: 'activity', environmentIds: ['e', 'f'], printed: 7, alive: 2 });
    expect([touched, hosted.alive, hosted.takePrinted(), hosted.takePrinted()]).toEqual([['e', 'f'], 2, 7, 0]);
    process.die();
    expect([socket.readyState, hosted.alive]).toEqual([socket.CLOSED, 0]);
    await hosted.call(ENVIRONMENT, { call: 'list', environmentId: 'e' });
    expect(process.calls.slice(-2).map(({ call }) => call)).toEqual(['configure', 'list']);
  });

  it.each([
    ['theirs', (): Promise<boolean> => Promise.resolve(true), true],
    ['another’s', (): Promise<boolean> => Promise.resolve(false), false],
    ['no good one', (): Promise<boolean> => Promise.reject(new Error('bad')), null],
  ])('have a fresh token judged here: %s', async (_whose, renew, own) => {
    hosted.renewedBy(await handed(), renew);
    process.say({ news: 'renew', id: 1, ask: 9, token: 't' });
    process.say({ news: 'renew', id: 2, ask: 10, token: 't' });
    await turn();
    expect(process.calls.slice(3)).toEqual(
      expect.arrayContaining([
        { call: 'renewed', ask: 9, own },
        { call: 'renewed', ask: 10, own: null },
      ]),
    );
  });

  it('do not count while they are closing', async () => {
    const socket = await handed();
    process.answer = ({ call }) => Promise.resolve(call === 'closing' ? [1, 99] : null);
    await hosted.noteClosing(ENVIRONMENT);
    expect(socket.readyState).toBe(socket.CLOSING);
  });
});
