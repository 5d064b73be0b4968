import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { deserialize } from 'bson';
import { startEmbeddedMongo, FolderLockedError, openSnapshot, type EmbeddedMongo } from './index';

let directory: string;
let server: EmbeddedMongo;
let client: MongoClient;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'embedded-mongo-'));
  server = await startEmbeddedMongo({ directory: join(directory, 'database') });
  client = new MongoClient(server.url);
});

afterEach(async () => {
  await client.close();
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

it('serves an unmodified driver', async () => {
  const things = client.db().collection<{ _id: number; a?: number }>('things');
  await things.insertMany([{ _id: 1, a: 1 }, { _id: 2, a: 2 }, { _id: 3 }]);
  await things.createIndex({ a: 1 }, { unique: true, partialFilterExpression: { a: { $exists: true } } });
  await things.updateOne({ _id: 3 }, { $inc: { a: 5 } });
  await expect(things.updateOne({ _id: 3 }, { $set: { a: 1 } })).rejects.toMatchObject({
    code: 11000,
    keyPattern: { a: 1 },
    keyValue: { a: 1 },
  });
  expect(await things.find({ a: { $gt: 1 } }, { sort: { a: -1 } }).toArray()).toEqual([
    { _id: 3, a: 5 },
    { _id: 2, a: 2 },
  ]);
  expect(await things.countDocuments({ a: { $lte: 2 } })).toBe(2);
});

it('keeps everything for itself, and its socket for its user', () => {
  expect(statSync(join(directory, 'database')).mode & 0o777).toBe(0o700);
  expect(statSync(server.socketPath).mode & 0o777).toBe(0o600);
});

it('names the holder of a locked folder, and where to connect to instead', async () => {
  const refusal = await startEmbeddedMongo({ directory: join(directory, 'database') }).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(FolderLockedError);
  expect(refusal).toMatchObject({ holder: { pid: process.pid, socketPath: server.socketPath, url: server.url } });
  expect((refusal as Error).message).toMatch(new RegExp(`in use by process ${process.pid} since \\d{4}-`));
});

it('keeps what was written, and opens a copy made while it ran', async () => {
  await client.db().collection('things').insertOne({ a: 1 });
  await server.backup(join(directory, 'database.sqlite'));
  await client.db().collection('things').insertOne({ a: 2 });
  await server.close();
  expect(readdirSync(join(directory, 'database')).sort()).toEqual(['database.sqlite', 'lock.sqlite']);
  server = await startEmbeddedMongo({ directory: join(directory, 'database') });
  expect(await client.db().collection('things').countDocuments()).toBe(2);
  await server.close();
  server = await startEmbeddedMongo({ directory });
  const other = new MongoClient(server.url);
  expect(
    await other
      .db()
      .collection('things')
      .distinct('a')
      .catch((error: unknown) => error),
  ).toMatchObject({ code: 59 });
  expect(await other.db().collection('things').countDocuments()).toBe(1);
  await other.close();
});

it('is read as it was at one instant, while others write', async () => {
  const folder = join(directory, 'database');
  expect(openSnapshot(join(directory, 'absent'), 'test').collections).toEqual([]);
  const things = client.db('test').collection<{ _id: number }>('things');
  await things.insertMany(Array.from({ length: 100 }, (_, at) => ({ _id: at })));
  await client.db('test2').collection('others').insertOne({});
  const snapshot = openSnapshot(folder, 'test');
  expect(snapshot.collections).toEqual([{ name: 'things', count: 100 }]);
  const seen: number[] = [];
  for (const bytes of snapshot.documents('things')) {
    if (seen.length === 50) {
      await things.deleteMany({ _id: { $gt: 60 } });
      await things.insertOne({ _id: 1000 });
    }
    seen.push((deserialize(bytes) as { _id: number })._id);
  }
  snapshot.close();
  expect(seen).toEqual(Array.from({ length: 100 }, (_, at) => at));
  const after = openSnapshot(folder, 'test');
  expect(after.collections).toEqual([{ name: 'things', count: 62 }]);
  expect([...after.documents('absent')]).toEqual([]);
  after.close();
});
