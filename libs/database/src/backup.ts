import { type DatabaseSettings } from '@devpocket/config';
import { type Clock, DomainError, hasCode, makeFolder } from '@devpocket/kernel';
import { type Connection } from 'mongoose';
import { randomBytes } from 'node:crypto';
import { createWriteStream, linkSync, openSync, closeSync, fsyncSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { ARCHIVE_FORMAT, archiveBytes, type CollectionCount } from './archive';
import { openSource } from './database-source';
import { restoreUnfinished } from './migrator';
import { type DatabaseHandle } from './open-database';
import { SchemaState } from './schema-state';

export interface BackupReport {
  readonly file: string;
  readonly bytes: number;
  readonly database: string;
  readonly source: 'embedded' | 'mongodb';
  readonly consistent: boolean;
  readonly collections: readonly CollectionCount[];
}

/** An open database, as it is. */
export interface OpenDatabase {
  readonly handle: DatabaseHandle;
  readonly connection: Connection;
  readonly settings: DatabaseSettings;
}

/**
 * Writes a whole database into one file, mode 0600, while it is in use. The file is there whole or not at all.
 * @param version of DevPocket
 * @param progress in documents
 * @throws DomainError `file_exists | restore_unfinished`
 */
export async function backUp(
  database: OpenDatabase,
  file: string,
  {
    version,
    clock,
    progress,
  }: { readonly version: string; readonly clock: Clock; readonly progress: (done: number, total: number) => void },
): Promise<BackupReport> {
  const { handle, connection, settings } = database;
  const state = new SchemaState(connection);
  const restoring = await state.restoring();
  if (restoring !== null) throw restoreUnfinished(restoring);
  const target = resolve(file);
  makeFolder(dirname(target));
  const draft = `${target}.${randomBytes(4).toString('hex')}.part`;
  const source = await openSource(handle, connection, settings);
  try {
    const { kind, consistent, counts } = source;
    const header = {
      format: ARCHIVE_FORMAT,
      version,
      database: settings.name,
      source: kind,
      consistent,
      created_at: clock.now(),
      migrations: [...(await state.applied()).keys()].sort(),
      collections: counts,
    } as const;
    const total = counts.reduce((sum, { count }) => sum + count, 0);
    const bytes = archiveBytes(header, source.collections, (done) => progress(done, Math.max(done, total)));
    await pipeline(
      Readable.from(bytes, { objectMode: true, highWaterMark: 1 }),
      createGzip(),
      createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true }),
    );
    publish(draft, target);
    return { file: target, bytes: statSync(target).size, database: settings.name, source: kind, consistent, collections: counts };
  } finally {
    rmSync(draft, { force: true });
    await source.close();
  }
}

/** A link is made whole and takes no other file's place. */
function publish(draft: string, target: string): void {
  try {
    linkSync(draft, target);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    throw new DomainError('duplicate', 'file_exists', `${target} exists already. Name another file`);
  }
  const folder = openSync(dirname(target), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
