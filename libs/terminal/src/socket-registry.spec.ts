import { Authenticator, type CredentialRef, type Principal, type Revocation, type Scope } from '@devpocket/access';
import { type ActivityRecorder } from '@devpocket/environments';
import { HealthRegistry } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { MemoryHeadCounts } from '@devpocket/shared-state';
import { ManualClock } from '@testing/kernel';
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { type WebSocket } from 'ws';
import { SocketRegistry } from './socket-registry';

const STALL_SECONDS = 600;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class FakeSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  isPaused = false;
  bufferedAmount = 0;
  pings = 0;
  ended: number | 'dropped' | null = null;
  readonly told: unknown[] = [];

  ping(): void {
    this.pings += 1;
  }

  send(text: string): void {
    this.told.push((JSON.parse(text) as Record<string, unknown>).code);
  }

  close(code: number): void {
    this.end(code);
  }

  terminate(): void {
    this.end('dropped');
  }

  resume(): void {
    this.isPaused = false;
  }

  private end(how: number | 'dropped'): void {
    this.ended ??= how;
    this.readyState = 3;
    this.emit('close');
  }
}

/** Tokens are `user:session:seconds`. */
class FakeAuthenticator extends Authenticator {
  tell: (revocation: Revocation) => void = () => undefined;
  miss: () => void = () => undefined;
  readonly ended = new Set<string>();
  readonly lookups: string[] = [];
  broken = false;
  scopes: ReadonlySet<Scope> = new Set(['terminal']);

  constructor(private readonly clock: ManualClock) {
    super();
  }

  authenticate(bearer: string): Promise<Principal> {
    const [user, session, seconds] = bearer.split(':');
    if (!user || !session) return Promise.reject(new DomainError('unauthenticated', 'token_invalid', 'no token'));
    return Promise.resolve(this.principal(user, session, Number(seconds)));
  }

  restore({ userId, id }: CredentialRef): Promise<Principal> {
    this.lookups.push(id);
    if (this.broken) return Promise.reject(new Error('no database'));
    if (this.ended.has(id)) return Promise.reject(new DomainError('unauthenticated', 'session_revoked', 'It has ended'));
    return Promise.resolve(this.principal(userId, id, null));
  }

  onRevoked(listener: (revocation: Revocation) => void, missed: () => void): () => void {
    this.tell = listener;
    this.miss = missed;
    return () => undefined;
  }

  principal(userId: string, id: string, seconds: number | null): Principal {
    const expiresAt = seconds === null ? null : new Date(this.clock.millis() + seconds * 1000);
    return {
      userId,
      username: userId,
      role: 'user',
      plan: 'free',
      isVerified: true,
      credential: { kind: 'session', id, userId },
      scopes: this.scopes,
      expiresAt,
    };
  }
}

describe('the register of sockets', () => {
  let clock: ManualClock;
  let authenticator: FakeAuthenticator;
  let registry: SocketRegistry;
  beforeEach(() => {
    clock = new ManualClock();
    authenticator = new FakeAuthenticator(clock);
    const activity = { setConnections: () => undefined } as unknown as ActivityRecorder;
    const settings = { bufferBytes: 0, maxSessionsPerEnvironment: 8, maxConnectionsPerUser: 2, stallSeconds: STALL_SECONDS };
    registry = new SocketRegistry(authenticator, settings, activity, new MemoryHeadCounts(), clock, new HealthRegistry());
    registry.onApplicationBootstrap();
  });
  afterEach(async () => {
    const stopped = registry.onModuleDestroy();
    clock.push(10_000);
    await stopped;
  });

  function open(seconds: number | null = null, user = 'ada', session = 's1', environmentId = 'e') {
    const socket = new FakeSocket();
    const edge = {
      socket: socket as unknown as WebSocket,
      stream: new PassThrough(),
      principal: authenticator.principal(user, session, seconds),
      byTicket: seconds === null,
      environmentId,
      query: new URLSearchParams(),
    };
    const entry = registry.add(edge);
    return { socket, entry, admitted: registry.admit(entry, false) };
  }

  async function seconds(count: number, each: () => void = () => undefined): Promise<void> {
    for (let second = 0; second < count; second += 1) {
      await settle();
      clock.push(1_000);
      await settle();
      each();
    }
  }

  it('pings every 25 s, and drops who is silent for 60 s', async () => {
    const silent = open().socket;
    const talking = open().socket;
    await seconds(59, () => talking.emit('pong'));
    expect([silent.pings, silent.ended]).toEqual([2, null]);
    await seconds(2, () => talking.emit('pong'));
    expect([silent.ended, talking.ended]).toEqual(['dropped', null]);
  });

  it('waits longer for who has output to read, and then gives it time to answer', async () => {
    const { socket } = open();
    socket.bufferedAmount = 1;
    await seconds(300);
    expect(socket.ended).toBeNull();
    socket.bufferedAmount = 0; // it reads on: the pings come behind what it has read
    await seconds(55);
    expect(socket.ended).toBeNull();
    await seconds(6);
    expect(socket.ended).toBe('dropped');
    const stuck = open().socket;
    stuck.bufferedAmount = 1;
    await seconds(STALL_SECONDS - 1);
    expect(stuck.ended).toBeNull();
    await seconds(2);
    expect(stuck.ended).toBe('dropped');
  });

  it("ends with its token, unless renewed by its own user's", async () => {
    const left = open(30);
    const renewed = open(30);
    expect(await registry.renew(left.entry, 'eve:s9:3600')).toBe(false);
    await expect(registry.renew(left.entry, 'nonsense')).rejects.toMatchObject({ code: 'token_invalid' });
    expect(await registry.renew(renewed.entry, 'ada:s1:3600')).toBe(true);
    await seconds(31, () => renewed.socket.emit('pong'));
    expect([left.socket.ended, left.socket.told, renewed.socket.ended]).toEqual([4401, ['token_expired'], null]);
  });

  it('lives as long as its session when it came by ticket, also when a token was told', async () => {
    const { socket, entry } = open();
    expect(await registry.renew(entry, 'ada:s1:30')).toBe(true);
    await seconds(60, () => socket.emit('pong'));
    expect(socket.ended).toBeNull();
  });

  it.each([
    ['a terminal', 'e', 'env:read', false],
    ['a terminal', 'e', 'terminal', true],
    ['events', '', 'env:read', true],
    ['events', '', 'terminal', false],
  ] as const)('of %s is renewed only by what might open it (%p, %s)', async (_what, environmentId, scope, may) => {
    const { entry, socket } = open(30, 'ada', 's1', environmentId);
    authenticator.scopes = new Set([scope]);
    const renewed = registry.renew(entry, 'ada:key:3600');
    if (may) expect(await renewed).toBe(true);
    else await expect(renewed).rejects.toMatchObject({ code: 'scope_missing' });
    await seconds(31, () => socket.emit('pong'));
    expect(socket.ended).toBe(may ? null : 4401);
  });

  it('lives as long as its session when it came by ticket, and ends with it', async () => {
    const { socket } = open();
    const other = open(null, 'ada', 's2').socket;
    await seconds(3_600, () => [socket, other].forEach((one) => one.emit('pong')));
    expect(socket.ended).toBeNull();
    authenticator.tell({ userId: 'ada', credential: { kind: 'session', id: 's1', userId: 'ada' } });
    expect([socket.ended, socket.told, other.ended]).toEqual([4401, ['session_revoked'], null]);
    authenticator.tell({ userId: 'ada', credential: null, except: { kind: 'session', id: 's2', userId: 'ada' } });
    expect(other.ended).toBeNull();
    authenticator.tell({ userId: 'ada', credential: null });
    expect(other.ended).toBe(4401);
  });

  it('does not live on with a credential whose end was told during its handshake', async () => {
    authenticator.ended.add('s1');
    authenticator.tell({ userId: 'ada', credential: { kind: 'session', id: 's1', userId: 'ada' } });
    const late = open();
    const other = open(null, 'ada', 's2');
    await settle();
    expect([late.socket.ended, late.socket.told, other.socket.ended]).toEqual([4401, ['session_revoked'], null]);
    authenticator.tell({ userId: 'eve', credential: null });
    authenticator.broken = true;
    const unknown = open(null, 'eve', 's1');
    await settle();
    expect(unknown.socket.ended).toBeNull();
  });

  it.each([
    ['told', () => authenticator.tell({ userId: 'ada', credential: { kind: 'session', id: 's0', userId: 'ada' } }), ['s1', 's1']],
    ['unheard', () => authenticator.miss(), ['s1', 's1', 's2']],
  ])('looks anew only for whom an end may have concerned that was %s in the last minute', async (_how, happen, lookups) => {
    open();
    expect(authenticator.lookups).toEqual([]);
    happen();
    authenticator.lookups.splice(0);
    open();
    await seconds(4);
    open();
    open(null, 'eve', 's2');
    expect(authenticator.lookups).toEqual(lookups);
    await seconds(60);
    authenticator.lookups.splice(0);
    open();
    expect(authenticator.lookups).toEqual([]);
  });

  it('ends soon with a credential that another process has ended, and not because the database is away', async () => {
    const { socket } = open();
    const other = open(null, 'ada', 's2').socket;
    await settle();
    authenticator.broken = true;
    await seconds(20);
    expect([socket.ended, other.ended]).toEqual([null, null]);
    authenticator.broken = false;
    authenticator.ended.add('s1');
    await seconds(6);
    expect([socket.ended, socket.told, other.ended]).toEqual([4401, ['session_revoked'], null]);
  });

  it('looks a credential up once for all of its sockets', async () => {
    const sockets = [open(), open(), open(null, 'eve', 's2')].map(({ socket }) => socket);
    await seconds(5);
    authenticator.lookups.splice(0);
    await seconds(15, () => sockets.forEach((one) => one.emit('pong')));
    expect(authenticator.lookups.sort()).toEqual(['s1', 's1', 's1', 's2', 's2', 's2']);
    authenticator.ended.add('s1');
    await seconds(6);
    expect(sockets.map(({ ended }) => ended)).toEqual([4401, 4401, null]);
  });

  it('counts open sockets only, each user alone', async () => {
    const first = open();
    open();
    const third = open();
    expect([await third.admitted, third.socket.ended, third.socket.told]).toEqual([false, 4429, ['too_many_connections']]);
    expect(await open(null, 'eve', 's9').admitted).toBe(true);
    first.socket.close(1000);
    expect(await open().admitted).toBe(true);
  });
});
