import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { Collection, Index, stored } from './collection';
import { MongoError } from './errors';
import { type Value, value } from './value';

export function databaseOf(namespace: string): string {
  return namespace.slice(0, namespace.indexOf('.'));
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS collections (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL UNIQUE, uuid BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS indexes (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, spec BLOB NOT NULL);
`;

/**
 * The collections and indexes of one SQLite file. Writes gather in one transaction, which `commit` makes durable: whoever writes
 * acknowledges after it.
 */
export class Catalog {
  private readonly db: DatabaseSync;
  private collections = new Map<string, Collection>();
  private writing = false;

  constructor(file: string) {
    this.db = new DatabaseSync(file);
    this.db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; ${SCHEMA}`);
    this.load();
  }

  private load(): void {
    this.collections = new Map();
    for (const row of this.db.prepare('SELECT id, namespace, uuid FROM collections ORDER BY id').all()) {
      const { id, namespace, uuid } = row as { id: number; namespace: string; uuid: Uint8Array };
      const indexes = this.db
        .prepare('SELECT id, spec FROM indexes WHERE collection = ? ORDER BY id')
        .all(id)
        .map((each) => each as { id: number; spec: Uint8Array })
        .map((each) => new Index(this.db, each.id, stored(each.spec), `documents_${id}`));
      this.collections.set(namespace, new Collection(this.db, id, namespace, Buffer.from(uuid), indexes));
    }
  }

  /** Whether something is written that `commit` has not made durable. */
  get dirty(): boolean {
    return this.writing;
  }

  /** To be called before every write. */
  begin(): void {
    if (this.writing) return;
    this.db.exec('BEGIN IMMEDIATE');
    this.writing = true;
  }

  /** @throws when the disk refuses; nothing of the transaction is then kept */
  commit(): void {
    if (!this.writing) return;
    try {
      this.db.exec('COMMIT');
      this.writing = false;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  rollback(): void {
    if (!this.writing) return;
    this.writing = false;
    for (const collection of this.collections.values()) collection.dropped = true; // open cursors end
    if (this.db.isTransaction) this.db.exec('ROLLBACK');
    this.load();
  }

  /** Of one database, or of all. */
  all(db?: string): readonly Collection[] {
    return [...this.collections.values()].filter(({ namespace }) => db === undefined || namespace.startsWith(`${db}.`));
  }

  find(namespace: string): Collection | undefined {
    return this.collections.get(namespace);
  }

  /** @throws MongoError 13297 when there is a database whose name differs in case only */
  create(namespace: string): Collection {
    const db = databaseOf(namespace);
    const other = this.all()
      .map((each) => databaseOf(each.namespace))
      .find((each) => each !== db && each.toLowerCase() === db.toLowerCase());
    if (other !== undefined)
      throw new MongoError(13297, `db already exists with different case already have: [${other}] trying to create [${db}]`);
    this.begin();
    const uuid = Buffer.from(randomUUID().replaceAll('-', ''), 'hex');
    const { lastInsertRowid } = this.db.prepare('INSERT INTO collections (namespace, uuid) VALUES (?, ?)').run(namespace, uuid);
    const id = Number(lastInsertRowid);
    this.db.exec(`CREATE TABLE documents_${id} (rid INTEGER PRIMARY KEY, doc BLOB NOT NULL)`);
    const collection = new Collection(this.db, id, namespace, uuid, []);
    this.collections.set(namespace, collection);
    this.createIndex(collection, value({ v: 2, key: { _id: 1 }, name: '_id_' }));
    return collection;
  }

  drop(collection: Collection): void {
    this.begin();
    for (const index of [...collection.indexes]) this.dropIndex(collection, index);
    this.db.exec(`DROP TABLE ${collection.table}`);
    this.db.prepare('DELETE FROM collections WHERE id = ?').run(collection.id);
    collection.dropped = true;
    this.collections.delete(collection.namespace);
  }

  /** @throws MongoError 11000 or 238 when the documents do not suit it; nothing is then kept */
  createIndex(collection: Collection, spec: Value): void {
    this.begin();
    this.db.exec('SAVEPOINT building');
    try {
      const insertion = this.db.prepare('INSERT INTO indexes (collection, spec) VALUES (?, ?)');
      const id = Number(insertion.run(collection.id, spec.bytes).lastInsertRowid);
      this.db.exec(`CREATE TABLE index_${id} (key BLOB NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (key, rid)) WITHOUT ROWID`);
      const index = new Index(this.db, id, spec, collection.table);
      this.fill(index, collection);
      collection.indexes.push(index);
      this.db.exec('RELEASE building');
    } catch (error) {
      this.db.exec('ROLLBACK TO building; RELEASE building');
      throw error;
    }
  }

  private fill(index: Index, collection: Collection): void {
    for (let [last, rows] = [-1, collection.after(-1, 500)]; rows.length > 0; rows = collection.after(last, 500)) {
      for (const [, rid, doc] of rows) {
        last = rid;
        const key = index.key(stored(doc));
        if (!key) continue;
        index.checkUnique(collection.namespace, key, stored(doc));
        index.add(key, rid);
      }
    }
  }

  dropIndex(collection: Collection, index: Index): void {
    this.begin();
    this.db.exec(`DROP TABLE ${index.table}`);
    this.db.prepare('DELETE FROM indexes WHERE id = ?').run(index.id);
    index.dropped = true;
    collection.indexes.splice(collection.indexes.indexOf(index), 1);
  }

  close(): void {
    this.commit();
    this.db.close();
  }
}
