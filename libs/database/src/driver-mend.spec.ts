import { startEmbeddedMongo } from '@devpocket/embedded-mongo';
import mongoose, { type Connection, mongo } from 'mongoose';
import { type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mendDriver } from './driver-mend';

mendDriver();

interface Link {
  readonly socket: Socket;
}

describe('a command whose connection closes before its socket took it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'devpocket-driver-'));
  let engine: Awaited<ReturnType<typeof startEmbeddedMongo>>;
  let connection: Connection;
  let sockets: Socket[];

  beforeAll(async () => {
    engine = await startEmbeddedMongo({ directory, log: () => undefined });
  });
  afterAll(async () => {
    await engine.close();
    rmSync(directory, { recursive: true });
  });
  beforeEach(async () => {
    sockets = [];
    const options = { dbName: 'test', maxPoolSize: 1, retryReads: false, retryWrites: false, serverSelectionTimeoutMS: 2_000 };
    connection = await mongoose.createConnection(engine.url, options).asPromise();
    await ping();
    sockets = links().map(({ socket }) => socket);
    expect(sockets).toHaveLength(1);
  });
  afterEach(() => connection.close());

  const ping = (): Promise<unknown> => connection.getClient().db('test').command({ ping: 1 });

  /** The connections of the pool, which the driver shows nobody. */
  function links(): readonly Link[] {
    const { topology } = connection.getClient() as unknown as {
      topology: { s: { servers: Map<string, { pool: { connections: Iterable<Link> } }> } };
    };
    return [...topology.s.servers.values()].flatMap(({ pool }) => [...pool.connections]);
  }

  it('fails when the socket was destroyed a moment ago', async () => {
    sockets[0]?.destroy();
    await expect(ping()).rejects.toBeInstanceOf(mongo.MongoNetworkError);
    await expect(ping()).resolves.toMatchObject({ ok: 1 });
  });

  it('fails when the socket is destroyed while it waits for room', async () => {
    const [socket] = sockets;
    socket?.cork(); // takes nothing on
    const inserted = connection
      .getClient()
      .db('test')
      .collection('large')
      .insertOne({ text: 'x'.repeat(1_000_000) });
    const failed = expect(inserted).rejects.toBeInstanceOf(mongo.MongoNetworkError);
    await new Promise<void>((waiting) => {
      socket?.on('newListener', (event) => event === 'drain' && waiting());
    });
    socket?.destroy();
    await failed;
    await expect(ping()).resolves.toMatchObject({ ok: 1 });
  });
});
