import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Collection, MongoClient } from 'mongodb';
import { FolderLockedError, startEmbeddedMongo } from './index';

interface Row {
  _id: number;
  name: string;
  version: number;
}

const KILLS = Number(process.env.EMBEDDED_MONGO_KILLS ?? 12);
const LANES = 8;
const BUILT = join(__dirname, '../../../dist/libs/embedded-mongo/src/index.js');

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'durability-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A process of its own that serves the folder. */
async function serve(): Promise<{ child: ChildProcess; url: string; gone: Promise<unknown> }> {
  const script = `require(${JSON.stringify(BUILT)}).startEmbeddedMongo({ directory: ${JSON.stringify(directory)} }).then(({ url }) => console.log(url))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, url: line.toString().trim(), gone };
}

/** Inserts and updates until the connection breaks; `acknowledged` is what the server said it did. */
async function write(
  rows: Collection<Row>,
  lane: number,
  acknowledged: Map<number, number>,
  ids: { last: number },
): Promise<void> {
  try {
    for (;;) {
      const _id = ++ids.last;
      await rows.insertOne({ _id, name: `row ${_id}`, version: 0 });
      acknowledged.set(_id, 0);
      const { modifiedCount } = await rows.updateOne({ _id, version: 0 }, { $set: { version: lane + 1 } });
      if (modifiedCount === 1) acknowledged.set(_id, lane + 1);
    }
  } catch {
    // killed: what was under way is neither kept nor lost for sure
  }
}

it(
  `loses nothing acknowledged when it is killed at ${KILLS} random instants, and needs no repair`,
  async () => {
    const acknowledged = new Map<number, number>();
    const ids = { last: 0 };
    for (let kill = 0; kill < KILLS; kill++) {
      const { child, url, gone } = await serve();
      const client = new MongoClient(url, { serverSelectionTimeoutMS: 2000 });
      const rows = client.db('test').collection<Row>('rows');
      await rows.createIndex({ name: 1 }, { unique: true });
      const lanes = Array.from({ length: LANES }, (_, lane) => write(rows, lane, acknowledged, ids));
      const target = acknowledged.size + Math.floor(Math.random() * 400);
      while (acknowledged.size < target) await new Promise((resolve) => setImmediate(resolve));
      child.kill('SIGKILL');
      await Promise.all(lanes);
      await client.close();
      await gone;
    }
    expect(acknowledged.size).toBeGreaterThan(KILLS);

    const server = await startEmbeddedMongo({ directory });
    const client = new MongoClient(server.url);
    const rows = client.db('test').collection<Row>('rows');
    const kept = new Map((await rows.find().toArray()).map((row) => [row._id, row]));
    for (const [_id, version] of acknowledged) {
      expect(kept.get(_id)).toMatchObject({ name: `row ${_id}`, ...(version > 0 ? { version } : {}) });
    }
    // Every index entry has its document, every document its entries.
    expect(await rows.find({ name: { $gt: '' } }).toArray()).toHaveLength(kept.size);
    await client.close();
    await server.close();
    const file = new DatabaseSync(join(directory, 'database.sqlite'));
    expect(file.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    file.close();
  },
  60_000 + KILLS * 3_000,
);

it('lets another process connect to the holder, and take the folder when the holder is gone', async () => {
  const { child, url, gone } = await serve();
  const refusal = await startEmbeddedMongo({ directory }).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(FolderLockedError);
  expect(refusal).toMatchObject({ holder: { pid: child.pid, url } });
  const client = new MongoClient((refusal as FolderLockedError).holder!.url);
  await client.db('test').collection('rows').insertOne({ a: 1 });
  await client.close();
  child.kill('SIGKILL');
  await gone;
  const server = await startEmbeddedMongo({ directory });
  const own = new MongoClient(server.url);
  expect(await own.db('test').collection('rows').countDocuments()).toBe(1);
  await own.close();
  await server.close();
});
