import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BSON } from 'bson';
import fc from 'fast-check';
import { MongoClient } from 'mongodb';
import { WireClient } from '../testing/wire-client';
import { startEmbeddedMongo, type EmbeddedMongo } from './index';
import { value } from './value';

let directory: string;
let server: EmbeddedMongo;
const log: string[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'server-'));
  server = await startEmbeddedMongo({ directory, log: (message) => log.push(message) });
});

afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

function message(operation: number, ...parts: Buffer[]): Buffer {
  const head = Buffer.alloc(16);
  head.writeInt32LE(16 + parts.reduce((sum, part) => sum + part.length, 0), 0);
  head.writeInt32LE(7, 4);
  head.writeInt32LE(operation, 12);
  return Buffer.concat([head, ...parts]);
}

const flags = (bits: number): Buffer => Buffer.from(new Uint32Array([bits]).buffer);
const body = (command: object): Buffer => Buffer.concat([Buffer.from([0]), BSON.serialize(command)]);
const ping = message(2013, flags(0), body({ ping: 1, $db: 'admin' }));

function sequence(name: string, ...documents: object[]): Buffer {
  const list = Buffer.concat([Buffer.from(`${name}\0`), ...documents.map((each) => Buffer.from(BSON.serialize(each)))]);
  const size = Buffer.alloc(4);
  size.writeInt32LE(list.length + 4);
  return Buffer.concat([Buffer.from([1]), size, list]);
}

/** Sends bytes, and reads until the first answer is whole or the connection ends; undefined: it ended without one. */
function send(...chunks: Buffer[]): Promise<{ operation: number; answer: BSON.Document } | undefined> {
  const socket: Socket = connect(server.socketPath);
  for (const chunk of chunks) socket.write(chunk);
  let read = Buffer.alloc(0);
  return new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(undefined));
    socket.on('data', (chunk) => {
      read = Buffer.concat([read, chunk as Buffer]);
      if (read.length < 16 || read.length < read.readInt32LE(0)) return;
      const operation = read.readInt32LE(12);
      expect(read.readInt32LE(8)).toBe(7);
      resolve({ operation, answer: BSON.deserialize(read.subarray(operation === 1 ? 36 : 21, read.readInt32LE(0))) });
      socket.destroy();
    });
  });
}

function query(command: object): Buffer {
  return message(2004, flags(0), Buffer.from('admin.$cmd\0'), Buffer.alloc(8), Buffer.from(BSON.serialize(command)));
}

describe('the wire protocol', () => {
  it('answers the first handshake by OP_REPLY: a standalone 7.0', async () => {
    const hello = await send(query({ ismaster: 1, helloOk: true, client: { driver: { name: 'x' } }, compression: ['none'] }));
    expect(hello).toMatchObject({
      operation: 1,
      answer: { ismaster: true, helloOk: true, maxWireVersion: 21, logicalSessionTimeoutMinutes: 30, ok: 1 },
    });
    for (const absent of ['setName', 'topologyVersion', 'compression', 'hosts']) expect(hello!.answer).not.toHaveProperty(absent);
  });

  it('refuses any other OP_QUERY', async () => {
    expect(await send(query({ find: 'things' }))).toMatchObject({
      answer: { ok: 0, code: 352, codeName: 'UnsupportedOpQueryCommand' },
    });
  });

  it('takes document sequences, in any order and in pieces', async () => {
    const bytes = message(
      2013,
      flags(0),
      sequence('documents', { _id: 1 }, { _id: 2 }),
      body({ insert: 'sequences', $db: 'test' }),
    );
    expect(await send(...Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)))).toMatchObject({ answer: { n: 2, ok: 1 } });
  });

  it('does not answer a message that wants no answer, but does what it says', async () => {
    const quiet = message(
      2013,
      flags(2),
      body({ insert: 'quiet', documents: [{ _id: 1 }], writeConcern: { w: 0 }, $db: 'test' }),
    );
    const find = message(2013, flags(0), body({ find: 'quiet', $db: 'test' }));
    expect(await send(quiet, find)).toMatchObject({ answer: { cursor: { firstBatch: [{ _id: 1 }] } } });
  });

  it.each([
    ['a length below that of a head', Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ['a length beyond 48 MB', Buffer.from([255, 255, 255, 127])],
    ['an unknown operation', message(2012, flags(0))],
    ['no body', message(2013, flags(0))],
    ['two bodies', message(2013, flags(0), body({ ping: 1, $db: 'a' }), body({ ping: 1, $db: 'a' }))],
    ['a flag that must be understood', message(2013, flags(4), body({ ping: 1, $db: 'a' }))],
    ['a section of unknown kind', message(2013, flags(0), Buffer.from([9]))],
    ['a document longer than its message', message(2013, flags(0), Buffer.from([0, 200, 0, 0, 0, 0]))],
    ['a sequence longer than its message', message(2013, flags(0), Buffer.from([1, 200, 0, 0, 0, 97, 0]))],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ])('closes the connection of a client that sends %s', async (_, bytes) => {
    expect(await send(bytes)).toBeUndefined();
  });

  it('survives whatever comes', async () => {
    const whole = fc.constantFrom(
      ping,
      query({ ismaster: 1 }),
      message(2013, flags(0), sequence('documents', { _id: 9 }), body({ insert: 'x', $db: 'fuzz' })),
    );
    const damaged = fc
      .tuple(whole, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([bytes, changes]) => {
        const copy = Buffer.from(bytes);
        for (const [at, to] of changes) copy[at % copy.length] = to;
        return copy;
      });
    const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(damaged, damaged, noise), { minLength: 1, maxLength: 3 }), async (chunks) => {
        const socket = connect(server.socketPath);
        socket.on('error', () => undefined);
        for (const chunk of chunks) socket.write(chunk);
        await new Promise<void>((resolve) => socket.end(() => resolve()));
        expect(await send(ping)).toMatchObject({ answer: { ok: 1 } });
        socket.destroy();
      }),
      { numRuns: 300 },
    );
    expect(log.filter((line) => line.startsWith('a command failed'))).toEqual([]);
  });

  it('answers BSON that is none inside with MongoDB’s code', async () => {
    const text = Buffer.from(BSON.serialize({ ping: 1, $db: 'admin', comment: 'aaaa' }));
    text.writeUInt8(0xff, text.indexOf('aaaa'));
    expect(await send(message(2013, flags(0), Buffer.concat([Buffer.from([0]), text])))).toMatchObject({
      answer: { ok: 0, code: 22, codeName: 'InvalidBSON' },
    });
  });

  it('refuses nesting beyond what MongoDB stores', async () => {
    let nested: object = {};
    for (let depth = 0; depth < 200; depth++) nested = { a: nested };
    expect(await send(message(2013, flags(0), body({ insert: 'deep', documents: [nested], $db: 'test' })))).toMatchObject({
      answer: { ok: 0, code: 15 },
    });
  });
});

describe('concurrent clients', () => {
  it('get one document of a unique key, whoever comes first', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => WireClient.connect(server.url)));
    const index = { createIndexes: 'names', indexes: [{ key: { name: 1 }, name: 'name', unique: true }], $db: 'race' };
    await clients[0]!.command(value(index));
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, at) =>
        clients[at % 10]!.command(value({ insert: 'names', documents: [{ _id: at, name: 'one' }], $db: 'race' })),
      ),
    );
    expect(answers.filter((answer) => answer.get('n')?.number === 1)).toHaveLength(1);
    expect(answers.filter((answer) => answer.get('writeErrors')?.items[0]?.get('code')?.number === 11000)).toHaveLength(99);
    for (const client of clients) client.close();
  });

  it('that read nothing do not fill the memory', async () => {
    const client = await WireClient.connect(server.url);
    await client.command(value({ insert: 'large', documents: [{ _id: 1, text: 'x'.repeat(4 << 20) }], $db: 'test' }));
    const deaf = connect(server.socketPath);
    deaf.pause();
    const before = process.memoryUsage().rss;
    const find = message(2013, flags(0), body({ find: 'large', $db: 'test' }));
    deaf.write(Buffer.concat(Array.from({ length: 1000 }, () => find)));
    for (let turn = 0; turn < 50; turn++)
      expect((await client.command(value({ ping: 1, $db: 'admin' }))).get('ok')!.number).toBe(1);
    expect(process.memoryUsage().rss - before).toBeLessThan(500 << 20); // the thread of the server is in this process
    deaf.destroy();
    client.close();
  });
});

describe('an unmodified driver', () => {
  it('reads large results in batches', async () => {
    const client = new MongoClient(server.url);
    const rows = client.db('test').collection<{ _id: number; text: string }>('batches');
    const text = 'x'.repeat(100_000);
    await rows.insertMany(Array.from({ length: 500 }, (_, _id) => ({ _id, text })));
    let sum = 0;
    for await (const { _id } of rows.find({}, { sort: { _id: -1 } })) sum += _id;
    expect(sum).toBe((499 * 500) / 2);
    await client.close();
  });
});

it('closes although a client reads nothing', async () => {
  const other = await startEmbeddedMongo({ directory: join(directory, 'deaf') });
  const client = await WireClient.connect(other.url);
  await client.command(value({ insert: 'large', documents: [{ _id: 1, text: 'x'.repeat(8 << 20) }], $db: 'test' }));
  const deaf = connect(other.socketPath);
  deaf.on('error', () => undefined);
  deaf.pause();
  deaf.write(message(2013, flags(0), body({ find: 'large', $db: 'test' })));
  await client.command(value({ ping: 1, $db: 'admin' }));
  client.close();
  await other.close();
  deaf.destroy();
});

it('serves a folder whose path is too long for a socket', async () => {
  const long = join(directory, 'x'.repeat(120));
  const other = await startEmbeddedMongo({ directory: long });
  expect(dirname(other.socketPath)).not.toBe(long);
  expect(statSync(dirname(other.socketPath)).mode & 0o777).toBe(0o700);
  const client = new MongoClient(other.url);
  expect(await client.db('admin').command({ ping: 1 })).toMatchObject({ ok: 1 });
  await client.close();
  await other.close();
  expect(() => statSync(dirname(other.socketPath))).toThrow('ENOENT');
});
