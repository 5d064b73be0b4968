import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DATABASE } from './messages';

/** One database as it was at one instant, while others go on writing. */
export interface Snapshot {
  /** In the order in which they were made. */
  readonly collections: readonly { readonly name: string; readonly count: number }[];
  /** The BSON of each document, in natural order. */
  documents(collection: string): Iterable<Uint8Array>;
  close(): void;
}

/**
 * Reads the folder of an embedded database beside the process that has it open, or without one. It is one read transaction of SQLite: all
 * that was acknowledged before is in it, and nobody waits for it.
 * @param name of the database
 */
export function openSnapshot(directory: string, name: string): Snapshot {
  const file = join(resolve(directory), DATABASE);
  if (!existsSync(file)) return { collections: [], documents: () => [], close: () => undefined };
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    db.exec('BEGIN');
    const prefix = `${name}.`;
    const rows = db.prepare('SELECT id, namespace FROM collections ORDER BY id').all() as { id: number; namespace: string }[];
    const own = rows.filter(({ namespace }) => namespace.startsWith(prefix));
    const tables = new Map(own.map(({ id, namespace }) => [namespace.slice(prefix.length), `documents_${id}`]));
    const countOf = (table: string): number =>
      (db.prepare(`SELECT COUNT(*) AS count FROM ${table}`).get() as { readonly count: number }).count;
    return {
      collections: [...tables].map(([collection, table]) => ({ name: collection, count: countOf(table) })),
      documents: (collection) => documentsOf(db, tables.get(collection)),
      close: () => db.close(),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}

function* documentsOf(db: DatabaseSync, table: string | undefined): Generator<Uint8Array> {
  if (table === undefined) return;
  for (const row of db.prepare(`SELECT doc FROM ${table} ORDER BY rid`).iterate()) yield row.doc as Uint8Array;
}
