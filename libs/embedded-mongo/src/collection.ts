import { type DatabaseSync, type StatementSync } from 'node:sqlite';
import { MongoError } from './errors';
import { conjuncts, matches, parseFilter, type Filter } from './filter';
import { byKey, directedKey, encodeEntry, entriesOf, keyFields, type Entry, type KeyField } from './index-keys';
import { render } from './render';
import { document, NULL, T, Value } from './value';

interface Key {
  readonly key: Buffer;
  readonly entry: Entry;
}

/** Index entries by their key as text. */
type Keys = ReadonlyMap<string, Key>;

/** An index as it was created, and its table. */
export class Index {
  readonly fields: readonly KeyField[];
  readonly unique: boolean;
  readonly partial: Filter | undefined;
  dropped = false;
  private readonly statements = new Map<string, StatementSync>();

  constructor(
    private readonly db: DatabaseSync,
    readonly id: number,
    readonly name: string,
    readonly spec: Value,
    private readonly documents: string,
    public multikey: boolean,
  ) {
    this.fields = keyFields(spec.get('key')!, 67);
    this.unique = name === '_id_' || (spec.get('unique')?.truthy ?? false);
    const partial = spec.get('partialFilterExpression');
    this.partial = partial && parseFilter(partial);
  }

  get table(): string {
    return `index_${this.id}`;
  }

  /** Prepared once, with this index's table for ENTRIES and its collection's for DOCUMENTS. */
  statement(sql: string): StatementSync {
    let found = this.statements.get(sql);
    if (!found) {
      found = this.db.prepare(sql.replace('ENTRIES', this.table).replace('DOCUMENTS', this.documents));
      found.setReturnArrays(true);
      this.statements.set(sql, found);
    }
    return found;
  }

  /** The keys under which a document stands here; none if a partial index leaves it out. */
  keys(doc: Value): Keys {
    const keys = new Map<string, Key>();
    if (this.partial && !matches(this.partial, doc)) return keys;
    const { entries, multikey } = entriesOf(doc, this.fields);
    if (multikey && !this.multikey) {
      this.db.prepare('UPDATE indexes SET multikey = 1 WHERE id = ?').run(this.id);
      this.multikey = true;
    }
    for (const entry of entries) {
      const key = encodeEntry(entry);
      keys.set(key.toString('latin1'), { key, entry });
    }
    return keys;
  }

  add(key: Buffer, rid: number): void {
    this.statement('INSERT INTO ENTRIES VALUES (?, ?)').run(key, rid);
  }

  remove(key: Buffer, rid: number): void {
    this.statement('DELETE FROM ENTRIES WHERE key = ? AND rid = ?').run(key, rid);
  }

  /** @throws MongoError 11000 when the index is unique and has one of the keys, those of `own` aside */
  checkUnique(namespace: string, keys: Keys, own?: Keys): void {
    if (!this.unique) return;
    const holder = this.statement('SELECT rid FROM ENTRIES WHERE key = ? LIMIT 1');
    const taken = [...keys].filter(([text, { key }]) => !own?.has(text) && holder.get(key));
    if (taken.length === 0) return;
    // MongoDB tells the first in the order of the index.
    const [{ entry }] = taken.map(([, each]) => ({ ...each, key: directedKey(each.entry, this.fields) })).sort(byKey) as [Key];
    const keyValue = document(this.fields.map(({ name }, at) => [name, entry[at] ?? NULL]));
    const message = `E11000 duplicate key error collection: ${namespace} index: ${this.name} dup key: ${render(keyValue)}`;
    throw new MongoError(11000, message, { keyPattern: this.spec.get('key')!, keyValue });
  }

  /** Whether all that matches a query stands in this index: it does in a partial one when the query says what its filter says. */
  covers(filter: Filter): boolean {
    if (!this.partial) return true;
    const given = conjuncts(filter);
    return conjuncts(this.partial).every((need) =>
      given.some(({ name, operator, operand }) => {
        if (name !== need.name) return false;
        const definite = operator === '$eq' && operand.type !== T.NULL && operand.type !== T.ARRAY;
        return (operator === need.operator && operand.same(need.operand)) || (definite && need.test(operand));
      }),
    );
  }
}

/** The documents of one collection and their index entries, kept in step. Every check comes before the first write. */
export class Collection {
  dropped = false;
  /** Counts what was written, so that a scan knows whether what it has read ahead still stands. */
  writes = 0;
  private readonly insertion: StatementSync;
  private readonly change: StatementSync;
  private readonly deletion: StatementSync;
  private readonly forward: StatementSync;

  constructor(
    db: DatabaseSync,
    readonly id: number,
    readonly namespace: string,
    readonly uuid: Buffer,
    readonly indexes: Index[],
  ) {
    this.insertion = db.prepare(`INSERT INTO ${this.table} (doc) VALUES (?)`);
    this.change = db.prepare(`UPDATE ${this.table} SET doc = ? WHERE rid = ?`);
    this.deletion = db.prepare(`DELETE FROM ${this.table} WHERE rid = ?`);
    this.forward = db.prepare(`SELECT NULL, rid, doc FROM ${this.table} WHERE rid > ? ORDER BY rid LIMIT ?`);
    this.forward.setReturnArrays(true);
  }

  get table(): string {
    return `documents_${this.id}`;
  }

  /** Documents in natural order (that of insertion) behind `rid`. */
  after(rid: number, limit: number): readonly (readonly [null, number, Uint8Array])[] {
    return this.forward.all(rid, limit) as unknown as [null, number, Uint8Array][];
  }

  insert(doc: Value): void {
    const entries = this.indexes.map((index) => {
      const keys = index.keys(doc);
      index.checkUnique(this.namespace, keys);
      return { index, keys };
    });
    this.writes++;
    const rid = Number(this.insertion.run(doc.bytes).lastInsertRowid);
    for (const { index, keys } of entries) for (const { key } of keys.values()) index.add(key, rid);
  }

  update(rid: number, before: Value, after: Value): void {
    const entries = this.indexes.map((index) => {
      const [old, keys] = [index.keys(before), index.keys(after)];
      index.checkUnique(this.namespace, keys, old);
      return { index, old, keys };
    });
    this.writes++;
    this.change.run(after.bytes, rid);
    for (const { index, old, keys } of entries) {
      for (const [text, { key }] of old) if (!keys.has(text)) index.remove(key, rid);
      for (const [text, { key }] of keys) if (!old.has(text)) index.add(key, rid);
    }
  }

  delete(rid: number, doc: Value): void {
    this.writes++;
    for (const index of this.indexes) for (const { key } of index.keys(doc).values()) index.remove(key, rid);
    this.deletion.run(rid);
  }
}

/** A stored document; SQLite hands out a copy, so its bytes are nobody else's. */
export function stored(doc: Uint8Array): Value {
  return new Value(T.OBJECT, Buffer.from(doc.buffer, doc.byteOffset, doc.byteLength));
}
