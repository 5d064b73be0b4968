import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { once } from 'node:events';
import { type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { eventually, TestApi } from '../testing';
import { CONNECTION_LIMITS, type ConnectionLimits } from './connection-limits';

const SHORT: ConnectionLimits = {
  headersMs: 500,
  requestMs: 800,
  silentMs: 1_000,
  idleMs: 200,
  checkEveryMs: 50,
  connections: 400,
};
const CLIENTS = 200;
const LOGIN = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';

/** A client that never closes by itself, and what it was told. */
interface Client {
  readonly socket: Socket;
  heard: string;
  readonly closed: Promise<void>;
}

describe('clients that take their time', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], {}, null, SHORT);
  const clients: Client[] = [];
  const drips: NodeJS.Timeout[] = [];
  beforeAll(() => api.start());
  afterAll(() => api.close());
  afterEach(() => {
    for (const drip of drips.splice(0)) clearInterval(drip);
    for (const { socket } of clients.splice(0)) socket.destroy();
  });

  const server = (): Server => api.running.app.getHttpServer();
  const connections = (): Promise<number> =>
    new Promise((resolve, reject) => server().getConnections((error, count) => (error ? reject(error) : resolve(count))));

  function open(text: string, drip = ''): Client {
    const { hostname, port } = new URL(api.url);
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    const closed = new Promise<void>((resolve) => socket.once('end', resolve).once('close', () => resolve()));
    const client: Client = { socket, heard: '', closed };
    socket.on('error', () => undefined).on('data', (data: Buffer) => (client.heard += data.toString('latin1')));
    socket.write(text);
    if (drip !== '') drips.push(setInterval(() => socket.write(drip), 20));
    clients.push(client);
    return client;
  }

  it('are given the times that are written down', () => {
    expect(CONNECTION_LIMITS).toMatchObject({ headersMs: 15_000, requestMs: 60_000, silentMs: 120_000, connections: 10_000 });
    const { headersTimeout, requestTimeout, timeout, keepAliveTimeout, maxConnections } = server();
    expect([headersTimeout, requestTimeout, timeout, keepAliveTimeout, maxConnections]).toEqual([500, 800, 1_000, 200, 400]);
  });

  it.each([
    ['say nothing', '', ''],
    ['never end their headers', 'GET /health HTTP/1.1\r\nHost: a\r\n', 'X-A: b\r\n'],
    ['send headers letter by letter', 'GET /health HTTP/1.1\r\nHost: a\r\nX-A: ', 'b'],
    ['send a body letter by letter', `${LOGIN}Content-Length: 60000\r\n\r\n{"a":"`, 'a'],
    ['send a body in chunks without an end', `${LOGIN}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n'],
    ['promise a body and send none', `${LOGIN}Content-Length: 60000\r\n\r\n`, ''],
    ['stay when they were answered', 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n', ''],
  ])('are dropped when they %s, %#', async (_what, text, drip) => {
    const client = open(text, drip);
    await client.closed;
    await eventually(async () => (await connections()) === 0);
  });

  it('keep nobody else waiting, however many they are', async () => {
    for (let n = 0; n < CLIENTS; n += 1)
      open(n % 2 === 0 ? 'GET /health HTTP/1.1\r\nX-A: ' : `${LOGIN}Content-Length: 99\r\n\r\n`, ' ');
    await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
    const begun = performance.now();
    expect((await api.call('GET', '//health')).status).toBe(200);
    expect((await api.user('others')).token).not.toBe('');
    expect(performance.now() - begun).toBeLessThan(5_000);
    await Promise.all(clients.map(({ closed }) => closed));
    await eventually(async () => (await connections()) <= 2);
  });

  it('are as many as there may be, and no more', async () => {
    for (let n = 0; n < SHORT.connections + 50; n += 1) open('');
    await Promise.all(clients.map(({ closed }) => closed));
    expect((await api.call('GET', '//health')).status).toBe(200);
  });

  it('are dropped when they take no answers', async () => {
    const client = open('');
    client.socket.pause();
    client.socket.write('GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20));
    await eventually(async () => (await connections()) === 1);
    await eventually(async () => (await connections()) === 0);
  });

  it('are answered when they closed their half after asking', async () => {
    const client = open('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
    client.socket.end();
    await client.closed;
    expect(client.heard).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each([
    ['an unknown path', '/api/v1/ws/nowhere', UPGRADE, 404],
    ['a subprotocol that is not spoken', '/api/v1/ws/terminal/x', `${UPGRADE}Sec-WebSocket-Protocol: mqtt\r\n`, 400],
    ['a version that is not spoken', '/api/v1/ws/terminal/x', UPGRADE.replace(': 13', ': 7'), 400],
  ])('hold no connection by an upgrade to %s', async (_what, path, headers, status) => {
    const client = open(`GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
    await client.closed;
    expect(client.heard).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    await eventually(async () => (await connections()) === 0, 5_000);
  });

  it.each([
    ['both a length and chunks', `${LOGIN}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${LOGIN}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`],
    ['a header in two lines', 'GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n'],
    ['a bare line feed', 'GET /health HTTP/1.1\nHost: a\n\n'],
    ['a NUL in a header', 'GET /health HTTP/1.1\r\nHost: a\r\nX-A: \0\r\n\r\n'],
    ['no host', 'GET /health HTTP/1.1\r\n\r\n'],
    ['a space before the colon', 'GET /health HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nabcde'],
  ])('are one request and no second when they send %s', async (_what, text) => {
    const client = open(`${text}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.closed;
    expect(client.heard).toMatch(/^HTTP\/1\.1 400 /);
    expect(client.heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
});
