import { type DatabaseSync, type StatementSync } from 'node:sqlite';
import { MongoError } from './errors';
import { conjuncts, matches, parseFilter, type Filter } from './filter';
import { encodeEntry, entriesOf, type Entry, type KeyField } from './index-keys';
import { render } from './render';
import { document, T, Value } from './value';

/** Index entries by their key as text. */
type Keys = ReadonlyMap<string, { readonly key: Buffer; readonly entry: Entry }>;

/** An index as it was created, and its table. */
export class Index {
  readonly fields: readonly KeyField[];
  readonly unique: boolean;
  readonly partial: Filter | undefined;
  /** Seconds after the date in its one field; undefined: no TTL index. */
  readonly expireAfterSeconds: number | undefined;
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
    this.fields = keyFields(spec.get('key')!);
    this.unique = name === '_id_' || (spec.get('unique')?.truthy ?? false);
    const partial = spec.get('partialFilterExpression');
    this.partial = partial && parseFilter(partial);
    this.expireAfterSeconds = spec.get('expireAfterSeconds')?.number;
  }

  get table(): string {
    return `index_${this.id}`;
  }

  statement(sql: string): StatementSync {
    let found = this.statements.get(sql);
    if (!found) {
      found = this.db.prepare(sql.replace('INDEX_TABLE', this.table).replace('DOCUMENTS', this.documents));
      found.setReturnArrays(true);
      this.statements.set(sql, found);
    }
    return found;
  }

  /** The keys under which a document stands here; none if a partial index leaves it out. */
  keys(doc: Value): Keys {
    const keys = new Map<string, { key: Buffer; entry: Entry }>();
    if (this.partial && !matches(this.partial, doc)) return keys;
    const { entries, multikey } = entriesOf(doc, this.fields);
    if (multikey) this.becomeMultikey();
    for (const entry of entries) {
      const key = encodeEntry(entry, this.fields);
      keys.set(key.toString('latin1'), { key, entry });
    }
    return keys;
  }

  private becomeMultikey(): void {
    if (this.multikey) return;
    this.db.prepare('UPDATE indexes SET multikey = 1 WHERE id = ?').run(this.id);
    this.multikey = true;
  }

  holder(key: Buffer): number | undefined {
    const row = this.statement('SELECT rid FROM INDEX_TABLE WHERE key = ? LIMIT 1').get(key) as unknown as [number] | undefined;
    return row?.[0];
  }

  add(key: Buffer, rid: number): void {
    this.statement('INSERT INTO INDEX_TABLE VALUES (?, ?)').run(key, rid);
  }

  remove(key: Buffer, rid: number): void {
    this.statement('DELETE FROM INDEX_TABLE WHERE key = ? AND rid = ?').run(key, rid);
  }

  duplicate(namespace: string, entry: Entry): MongoError {
    const keyValue = document(this.fields.map(({ name }, at) => [name, entry[at] ?? new Value(T.NULL, Buffer.alloc(0))]));
    return new MongoError(
      11000,
      `E11000 duplicate key error collection: ${namespace} index: ${this.name} dup key: ${render(keyValue)}`,
      { keyPattern: this.spec.get('key')!, keyValue },
    );
  }

  /** Whether a query's conditions make sure that what matches stands in this (partial) index. */
  covers(filter: Filter): boolean {
    if (!this.partial) return true;
    const given = conjuncts(filter);
    const needed = this.partial.kind === 'predicate' ? [this.partial] : this.partial.kind === 'and' ? this.partial.of : [];
    if (needed.length === 0 && this.partial.kind !== 'and') return false;
    return needed.every(
      (need) =>
        need.kind === 'predicate' &&
        given.some(
          (has) =>
            has.name === need.name &&
            ((has.operator === need.operator && has.operand.same(need.operand)) ||
              (has.operator === '$eq' &&
                ![T.NULL, T.ARRAY].some((type) => type === has.operand.type) &&
                need.leaf === 'elements' &&
                need.test(has.operand)) ||
              (need.operator === '$exists' &&
                ['$eq', '$gt', '$gte', '$lt', '$lte'].includes(has.operator) &&
                has.operand.type !== T.NULL &&
                has.operand.type !== T.MIN_KEY &&
                has.operand.type !== T.MAX_KEY)),
        ),
    );
  }
}

export function keyFields(key: Value): readonly KeyField[] {
  return key.fields.map(([name, direction]) => ({ name, path: name.split('.'), direction: direction.number < 0 ? -1 : 1 }));
}

/** The documents of one collection and their index entries, kept in step. Every check comes before the first write. */
export class Collection {
  dropped = false;
  private readonly insertion: StatementSync;
  private readonly change: StatementSync;
  private readonly deletion: StatementSync;
  private readonly byRid: StatementSync;

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
    this.byRid = db.prepare(`SELECT doc FROM ${this.table} WHERE rid = ?`);
    this.countAll = db.prepare(`SELECT count(*) AS n FROM ${this.table}`);
    this.forward = db.prepare(`SELECT NULL, rid, doc FROM ${this.table} WHERE rid > ? ORDER BY rid LIMIT ?`);
    this.forward.setReturnArrays(true);
  }

  private readonly countAll: StatementSync;
  private readonly forward: StatementSync;

  get table(): string {
    return `documents_${this.id}`;
  }

  get idIndex(): Index {
    return this.indexes[0]!;
  }

  count(): number {
    return (this.countAll.get() as { n: number }).n;
  }

  /** Documents in natural order (that of insertion) behind `rid`. */
  after(rid: number, limit: number): readonly (readonly [null, number, Uint8Array])[] {
    return this.forward.all(rid, limit) as unknown as [null, number, Uint8Array][];
  }

  read(rid: number): Value | undefined {
    const row = this.byRid.get(rid) as { doc: Uint8Array } | undefined;
    return row && stored(row.doc);
  }

  insert(doc: Value): void {
    const entries = this.indexes.map((index) => {
      const keys = index.keys(doc);
      this.checkUnique(index, keys);
      return { index, keys };
    });
    const rid = Number(this.insertion.run(doc.bytes).lastInsertRowid);
    for (const { index, keys } of entries) for (const { key } of keys.values()) index.add(key, rid);
  }

  update(rid: number, before: Value, after: Value): void {
    const entries = this.indexes.map((index) => {
      const [old, keys] = [index.keys(before), index.keys(after)];
      this.checkUnique(index, keys, old);
      return { index, old, keys };
    });
    this.change.run(after.bytes, rid);
    for (const { index, old, keys } of entries) {
      for (const [name, { key }] of old) if (!keys.has(name)) index.remove(key, rid);
      for (const [name, { key }] of keys) if (!old.has(name)) index.add(key, rid);
    }
  }

  private checkUnique(index: Index, keys: Keys, own?: Keys): void {
    if (!index.unique) return;
    for (const [name, { key, entry }] of keys) {
      if (!own?.has(name) && index.holder(key) !== undefined) throw index.duplicate(this.namespace, entry);
    }
  }

  delete(rid: number, doc: Value): void {
    for (const index of this.indexes) for (const { key } of index.keys(doc).values()) index.remove(key, rid);
    this.deletion.run(rid);
  }
}

/** A stored document; SQLite hands out a copy, so its bytes are nobody else's. */
export function stored(doc: Uint8Array): Value {
  return new Value(T.OBJECT, Buffer.from(doc.buffer, doc.byteOffset, doc.byteLength));
}
