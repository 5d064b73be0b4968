import { SystemClock } from '@devpocket/kernel';
import fc from 'fast-check';
import mongoose, { mongo } from 'mongoose';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { backUp, type OpenDatabase } from './backup';
import { type Migration } from './migration';
import { Migrator } from './migrator';
import { openDatabase } from './open-database';
import { checkArchive, contentsOf, restore } from './restore';

const { Binary, BSONRegExp, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } = mongo;
const clock = new SystemClock();
const quiet = { clock, version: '1.2.3', progress: () => undefined };

/** One of each type that both databases keep, and numbers that JavaScript would make one. */
const EVERYTHING = {
  int: new Int32(1),
  double: new Double(1),
  minusZero: new Double(-0),
  notANumber: new Double(NaN),
  long: Long.fromString('9007199254740993'),
  decimal: Decimal128.fromString('1.10'),
  text: 'grüße \u{1f600}',
  nothing: null,
  yes: true,
  at: new Date(-1),
  id: new ObjectId(),
  bytes: new Binary(Buffer.from([0, 255]), 5),
  uuid: new Binary(Buffer.alloc(16, 7), 4),
  pattern: new BSONRegExp('^a', 'i'),
  code: new Code('f()'),
  time: new Timestamp({ t: 1, i: 2 }),
  low: new MinKey(),
  high: new MaxKey(),
  nested: { list: [new Double(3), { deep: [] }], 'dotted.name': 1, empty: {} },
};

describe('a backup', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-backup-'));
  const open: { database: OpenDatabase; drop: boolean }[] = [];
  let count = 0;

  /** A database of its own; `here`: embedded, whatever MONGODB_URL says. */
  const database = async (where: 'here' | 'given'): Promise<OpenDatabase> => {
    const url = where === 'given' ? (process.env.MONGODB_URL ?? null) : null;
    const settings = {
      url,
      name: `test_backup_${process.pid}_${(count += 1)}`,
      dataDir: join(folder, String(count)),
      recordFile: null,
    };
    mkdirSync(settings.dataDir);
    const handle = await openDatabase(settings, { log: () => undefined });
    const connection = await mongoose.createConnection(handle.url, handle.options).asPromise();
    open.push({ database: { handle, connection, settings }, drop: url !== null });
    return { handle, connection, settings };
  };
  const raw = async ({ connection }: OpenDatabase, name: string): Promise<readonly string[]> =>
    (
      await connection
        .collection(name)
        .find({}, { raw: true, sort: { _id: 1 } })
        .toArray()
    ).map((one) => Buffer.from(one as unknown as Uint8Array).toString('hex'));
  const fill = async ({ connection }: OpenDatabase): Promise<void> => {
    await connection.collection('kinds').insertOne({ ...EVERYTHING });
    await connection
      .collection<{ _id: number }>('many')
      .insertMany(Array.from({ length: 2_500 }, (_, _id) => ({ _id, text: 'x'.repeat(_id % 200) })));
    await connection.collection('many').createIndex({ text: 1 });
  };

  afterAll(async () => {
    for (const { database, drop } of open) {
      if (drop) await database.connection.dropDatabase();
      await database.connection.close();
      await database.handle.close();
    }
    rmSync(folder, { recursive: true });
  });

  it('of either database restores into the other, byte for byte', async () => {
    const [first, second, third] = [await database('here'), await database('given'), await database('here')];
    await fill(first);
    const told: string[] = [];
    const made = await backUp(first, join(folder, 'new', 'first'), {
      ...quiet,
      progress: (done, total) => told.push(`${done}/${total}`),
    });
    expect(made).toMatchObject({
      source: 'embedded',
      consistent: true,
      collections: [
        { name: 'kinds', count: 1 },
        { name: 'many', count: 2_500 },
      ],
    });
    expect([statSync(made.file).mode & 0o777, statSync(made.file).size]).toEqual([0o600, made.bytes]);
    expect(told.at(-1)).toBe('2501/2501');
    expect(readdirSync(join(folder, 'new'))).toEqual(['first']);

    await restore(second.connection, await checkArchive(made.file, () => undefined), quiet);
    const back = await backUp(second, join(folder, 'second'), quiet);
    expect(back.source).toBe(process.env.MONGODB_URL ? 'mongodb' : 'embedded');
    await restore(third.connection, await checkArchive(back.file, () => undefined), quiet);
    for (const name of ['kinds', 'many']) {
      const expected = await raw(first, name);
      expect(await raw(second, name)).toEqual(expected);
      expect(await raw(third, name)).toEqual(expected);
    }
  });

  it('takes no other file’s place, and leaves none behind', async () => {
    const source = await database('given');
    await source.connection.collection('things').insertOne({});
    const file = join(folder, 'there');
    writeFileSync(file, 'mine');
    await expect(backUp(source, file, quiet)).rejects.toMatchObject({ code: 'file_exists' });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect(readdirSync(folder).filter((name) => name.includes('part'))).toEqual([]);
  });

  it('that is cut or changed anywhere is refused before anything is touched', async () => {
    const source = await database('here');
    await fill(source);
    const whole = (await backUp(source, join(folder, 'whole'), quiet)).file;
    const packed = readFileSync(whole);
    const plain = gunzipSync(packed);
    const faulty = join(folder, 'faulty');
    const check = (bytes: Buffer) => {
      writeFileSync(faulty, bytes);
      return checkArchive(faulty, () => undefined);
    };
    expect(await check(packed)).toMatchObject({ documents: 2_501, header: { version: '1.2.3', source: 'embedded' } });
    const place = (length: number) => fc.integer({ min: 0, max: length - 1 });
    await fc.assert(
      fc.asyncProperty(place(packed.length), place(plain.length), fc.integer({ min: 1, max: 255 }), async (cut, at, flip) => {
        await expect(check(packed.subarray(0, cut))).rejects.toMatchObject({ code: 'backup_damaged' });
        await expect(check(gzipSync(plain.subarray(0, at)))).rejects.toMatchObject({ code: 'backup_damaged' });
        const changed = Buffer.from(plain);
        changed[at]! ^= flip;
        // What is changed in the header may also look like another format, or a later version's.
        await expect(check(gzipSync(changed))).rejects.toMatchObject({
          code: expect.stringMatching(/^(backup_|database_newer)/) as string,
        });
      }),
      { numRuns: 40 },
    );
    await expect(check(gzipSync(Buffer.concat([plain, plain])))).rejects.toMatchObject({ code: 'backup_damaged' });
    await expect(check(Buffer.from('no gzip at all'))).rejects.toMatchObject({ code: 'backup_damaged' });
    await expect(checkArchive(join(folder, 'absent'), () => undefined)).rejects.toMatchObject({ code: 'ENOENT' });
    truncateSync(faulty, 0);
    await expect(checkArchive(faulty, () => undefined)).rejects.toMatchObject({ code: 'backup_damaged' });
  });

  it('whose restore breaks off keeps every version away until it is restored whole', async () => {
    const [source, target] = [await database('given'), await database('given')];
    await fill(source);
    const done: Migration = { id: '0001-done', up: () => Promise.resolve() };
    const migrator = ({ connection }: OpenDatabase, migrations: readonly Migration[]) =>
      new Migrator(connection, clock, { migrations, log: () => undefined });
    const archive = await checkArchive((await backUp(source, join(folder, 'cut'), quiet)).file, () => undefined);
    await target.connection.collection('old').insertMany([{ a: 1 }, { a: 2 }]);
    await target.connection.collection('old').createIndex({ a: 1 }, { unique: true });
    const power = (doneDocuments: number): void => {
      if (doneDocuments > 1_000) throw new Error('the power went');
    };
    await expect(restore(target.connection, archive, { clock, progress: power })).rejects.toMatchObject({
      code: 'restore_unfinished',
      message: expect.stringContaining('the power went') as string,
    });
    await expect(migrator(target, []).run()).rejects.toMatchObject({ code: 'restore_unfinished' });
    await expect(backUp(target, join(folder, 'half'), quiet)).rejects.toMatchObject({ code: 'restore_unfinished' });
    await restore(target.connection, archive, quiet);
    expect(await migrator(target, []).run()).toEqual([]);
    expect((await contentsOf(target.connection)).toSorted()).toEqual(['kinds', 'many']);
    expect(await raw(target, 'many')).toEqual(await raw(source, 'many'));

    await migrator(source, [done]).run();
    const later = await backUp(source, join(folder, 'later'), quiet);
    await expect(checkArchive(later.file, () => undefined)).rejects.toMatchObject({ code: 'database_newer' });
  });
});
