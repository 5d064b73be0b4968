import { type Clock, DomainError } from '@devpocket/kernel';
import { type Connection, mongo } from 'mongoose';
import { resolve } from 'node:path';
import { type ArchiveHeader, type CollectionCount, readArchive } from './archive';
import { MIGRATIONS } from './migration';
import { SCHEMA_COLLECTION, SchemaState } from './schema-state';

const BATCH_DOCUMENTS = 1_000;
const BATCH_BYTES = 4 * 1024 * 1024;
/** Numbers, dates and binaries as they were stored, not as JavaScript has them. */
const FAITHFUL = { promoteValues: false, promoteBuffers: false, bsonRegExp: true } as const;

/** What a file holds that was read to its end and found whole. */
export interface CheckedArchive {
  readonly file: string;
  readonly header: ArchiveHeader;
  readonly collections: readonly CollectionCount[];
  readonly documents: number;
}

/**
 * Reads a backup to its end. Nothing is touched.
 * @throws DomainError `backup_damaged | backup_unknown | database_newer`
 */
export async function checkArchive(file: string, progress: (documents: number) => void): Promise<CheckedArchive> {
  let header: ArchiveHeader | null = null;
  const counts = new Map<string, number>();
  let documents = 0;
  for await (const record of readArchive(file)) {
    if (record.kind === 'header') {
      ({ header } = record);
      continue;
    }
    counts.set(record.collection, (counts.get(record.collection) ?? 0) + 1);
    documents += 1;
    if (documents % BATCH_DOCUMENTS === 0) progress(documents);
  }
  if (!header) throw new Error('An archive without a header was not refused');
  const known = new Set(MIGRATIONS.map(({ id }) => id));
  const later = header.migrations.filter((id) => !known.has(id));
  if (later.length > 0) {
    const message = `This backup is of DevPocket ${header.version}, which is newer (${later.join(', ')}). Restore it with that version`;
    throw new DomainError('invalid', 'database_newer', message);
  }
  return { file: resolve(file), header, collections: [...counts].map(([name, count]) => ({ name, count })), documents };
}

/** Collections that hold anything, whatever the mark of a restore. */
export async function contentsOf(connection: Connection): Promise<readonly string[]> {
  const held: string[] = [];
  for (const collection of await collectionsOf(connection))
    if (await collection.findOne({}, { projection: { _id: 1 } })) held.push(collection.collectionName);
  return held;
}

/**
 * Puts a checked backup in the place of all that the database holds. The database is marked first and the mark taken away last: between
 * them no version works on it, so what a crash leaves is never taken for the whole.
 * @throws DomainError `restore_unfinished`: it broke off, and the mark stays
 */
export async function restore(
  connection: Connection,
  archive: CheckedArchive,
  { clock, progress }: { readonly clock: Clock; readonly progress: (done: number, total: number) => void },
): Promise<void> {
  const state = new SchemaState(connection);
  await state.beginRestore(archive.file, clock.now());
  try {
    await empty(connection, state);
    let done = 0;
    for await (const { collection, documents } of batches(archive.file)) {
      await connection.db?.collection(collection).insertMany(documents);
      done += documents.length;
      progress(done, archive.documents);
    }
    if (done !== archive.documents)
      throw new Error(`${done} of ${archive.documents} documents were read: the file has changed meanwhile`);
    await state.endRestore();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `The restore broke off (${reason}). No server works on this database until it is run again: devpocket db restore FILE --force`;
    throw new DomainError('unavailable', 'restore_unfinished', message, { cause: error });
  }
}

async function empty(connection: Connection, state: SchemaState): Promise<void> {
  for (const collection of await collectionsOf(connection)) {
    await collection.dropIndexes();
    if (collection.collectionName === SCHEMA_COLLECTION) await state.clear();
    else await collection.deleteMany({});
  }
}

async function collectionsOf({ db }: Connection): Promise<readonly mongo.Collection[]> {
  if (!db) throw new Error('The database is not connected');
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  return all
    .filter(({ name, type }) => type === 'collection' && !name.startsWith('system.'))
    .map(({ name }) => db.collection(name));
}

async function* batches(
  file: string,
): AsyncGenerator<{ readonly collection: string; readonly documents: mongo.BSON.Document[] }> {
  let [collection, documents, bytes] = ['', [] as mongo.BSON.Document[], 0];
  for await (const record of readArchive(file)) {
    if (record.kind === 'header') continue;
    const full = documents.length >= BATCH_DOCUMENTS || bytes >= BATCH_BYTES;
    if (documents.length > 0 && (full || record.collection !== collection)) {
      yield { collection, documents };
      [documents, bytes] = [[], 0];
    }
    collection = record.collection;
    documents.push(mongo.BSON.deserialize(record.bytes, FAITHFUL));
    bytes += record.bytes.length;
  }
  if (documents.length > 0) yield { collection, documents };
}
