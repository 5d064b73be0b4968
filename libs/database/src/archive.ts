import { DomainError } from '@devpocket/kernel';
import { mongo } from 'mongoose';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/*
 * A backup is the gzip of records: a byte that tells the kind, then a BSON document, which begins with its own length (bsonspec.org).
 *
 *   H  {@link ArchiveHeader}, first and once
 *   C  { name }: of this collection are the documents that follow
 *   D  a document as it was stored
 *   E  { collections: [{ name, count }], sha256 }: last; the digest is that of every byte before this record
 */

const { BSON } = mongo;
export const ARCHIVE_FORMAT = 1;
const [HEADER, COLLECTION, DOCUMENT, END] = ['H', 'C', 'D', 'E'].map((letter) => letter.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
];
/** MongoDB's limit, and the room that it leaves for fields of its own. */
const LARGEST_DOCUMENT = 16 * 1024 * 1024 + 16 * 1024;
const CHUNK_BYTES = 64 * 1024;

export interface CollectionCount {
  readonly name: string;
  readonly count: number;
}

export interface ArchiveHeader {
  readonly format: typeof ARCHIVE_FORMAT;
  /** Of DevPocket. */
  readonly version: string;
  readonly database: string;
  readonly source: 'embedded' | 'mongodb';
  /** Is everything in it as it was at one instant? */
  readonly consistent: boolean;
  readonly created_at: Date;
  /** Ids of the migrations that the database has had. */
  readonly migrations: readonly string[];
  /** As counted before the first document was read; the end says how many there are. */
  readonly collections: readonly CollectionCount[];
}

export interface ArchivedCollection {
  readonly name: string;
  readonly documents: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * The bytes of an archive before compression.
 * @param written is told how many documents have been taken
 */
export async function* archiveBytes(
  header: ArchiveHeader,
  collections: Iterable<ArchivedCollection>,
  written: (documents: number) => void,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let [chunk, size, documents] = [[] as Uint8Array[], 0, 0];
  const add = (kind: number, document: Uint8Array): void => {
    chunk.push(Buffer.of(kind), document);
    size += document.length + 1;
  };
  const taken = (): Buffer => {
    const bytes = Buffer.concat(chunk);
    hash.update(bytes);
    [chunk, size] = [[], 0];
    return bytes;
  };
  add(HEADER, BSON.serialize(header));
  const counts: CollectionCount[] = [];
  for (const collection of collections) {
    add(COLLECTION, BSON.serialize({ name: collection.name }));
    let count = 0;
    for await (const document of collection.documents) {
      add(DOCUMENT, document);
      count += 1;
      documents += 1;
      if (size < CHUNK_BYTES) continue;
      yield taken();
      written(documents);
    }
    counts.push({ name: collection.name, count });
  }
  yield taken();
  written(documents);
  yield Buffer.concat([Buffer.of(END), BSON.serialize({ collections: counts, sha256: hash.digest() })]);
}

export type ArchiveRecord =
  | { readonly kind: 'header'; readonly header: ArchiveHeader }
  | { readonly kind: 'document'; readonly collection: string; readonly bytes: Buffer };

/**
 * The records of an archive in a file. Only when it has ended without an error is it known to be whole.
 * @throws DomainError `backup_damaged`: cut, changed, or none of ours; `backup_unknown`: of a later format
 */
export async function* readArchive(file: string): AsyncGenerator<ArchiveRecord> {
  const source = createReadStream(file);
  const packed = createGunzip();
  source.on('error', (error) => packed.destroy(error));
  source.pipe(packed);
  try {
    yield* records(packed);
  } catch (error) {
    if (isOfZlib(error)) throw damaged(error.message);
    throw error;
  } finally {
    source.destroy();
    packed.destroy();
  }
}

/** Z_DATA_ERROR, Z_BUF_ERROR (it ends too soon) and their like. */
function isOfZlib(error: unknown): error is Error {
  return typeof error === 'object' && error !== null && 'code' in error && String(error.code).startsWith('Z_');
}

interface Frame {
  readonly kind: number;
  readonly bytes: Buffer;
}

async function* records(packed: Readable): AsyncGenerator<ArchiveRecord> {
  const hash = createHash('sha256');
  const counts = new Map<string, number>();
  let state: 'new' | 'open' | 'ended' = 'new';
  let collection: string | null = null;
  for await (const { kind, bytes } of frames(packed)) {
    if (state === 'ended') throw damaged('something follows its end');
    if ((state === 'new') !== (kind === HEADER)) throw damaged('it does not begin as a backup does');
    if (kind === END) {
      checkEnd(bytes, hash.digest(), counts);
      state = 'ended';
      continue;
    }
    hash.update(Buffer.of(kind)).update(bytes);
    if (kind === HEADER) {
      state = 'open';
      yield { kind: 'header', header: headerOf(bytes) };
    } else if (kind === COLLECTION) {
      collection = String(parsed(bytes).name);
      counts.set(collection, 0);
    } else if (kind === DOCUMENT && collection !== null) {
      counts.set(collection, (counts.get(collection) ?? 0) + 1);
      yield { kind: 'document', collection, bytes };
    } else throw damaged('it holds a record that is none');
  }
  if (state !== 'ended') throw damaged('it ends too soon');
}

/** Cuts the stream into records. */
async function* frames(packed: Readable): AsyncGenerator<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of packed as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= 5) {
      const length = rest.readInt32LE(at + 1);
      if (length < 5 || length > LARGEST_DOCUMENT) throw damaged('a document in it has no length');
      if (rest.length - at - 1 < length) break;
      yield { kind: rest[at] ?? 0, bytes: rest.subarray(at + 1, at + 1 + length) };
      at += 1 + length;
    }
    rest = rest.subarray(at);
  }
  if (rest.length > 0) throw damaged('it ends within a record');
}

function headerOf(bytes: Buffer): ArchiveHeader {
  const header = parsed(bytes);
  if (typeof header.format !== 'number' || !Array.isArray(header.migrations) || typeof header.version !== 'string')
    throw damaged('it does not begin as a backup does');
  if (header.format !== ARCHIVE_FORMAT) {
    const message = `This backup has the format ${header.format}, and this version reads ${ARCHIVE_FORMAT}: it comes from DevPocket ${header.version}`;
    throw new DomainError('invalid', 'backup_unknown', message);
  }
  return header as unknown as ArchiveHeader;
}

function checkEnd(bytes: Buffer, digest: Buffer, counts: ReadonlyMap<string, number>): void {
  const { sha256, collections } = parsed(bytes);
  const same = sha256 instanceof mongo.Binary && Buffer.from(sha256.value()).equals(digest);
  const told = new Map((collections as readonly CollectionCount[] | undefined)?.map(({ name, count }) => [name, count]));
  const counted = told.size === counts.size && [...counts].every(([name, count]) => told.get(name) === count);
  if (!same || !counted) throw damaged('its checksum does not match');
}

function parsed(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    return BSON.deserialize(bytes);
  } catch {
    throw damaged('a document in it cannot be read');
  }
}

function damaged(how: string): DomainError {
  return new DomainError('invalid', 'backup_damaged', `This is no whole backup: ${how}. Nothing was changed`);
}
