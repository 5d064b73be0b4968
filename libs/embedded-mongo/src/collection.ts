import { type DatabaseSync, type StatementSync } from 'node:sqlite';
import { MongoError } from './errors';
import { conjuncts, matches, parseFilter, type Filter } from './filter';
import { entryOf, keyFields, type KeyField } from './index-keys';
import { keyOf } from './key';
import { render } from './render';
import { document, NULL, T, Value } from './value';

/** An index as it was created, and its table. */
export class Index {
  readonly name: string;
  readonly fields: readonly KeyField[];
  readonly unique: boolean;
  readonly partial: Filter | undefined;
  dropped = false;
  private readonly statements = new Map<string, StatementSync>();

  constructor(
    private readonly db: DatabaseSync,
    readonly id: number,
    readonly spec: Value,
    private readonly documents: string,
  ) {
    this.name = spec.get('name')!.text;
    this.fields = keyFields(spec.get('key')!, 67);
    this.unique = this.name === '_id_' || (spec.get('unique')?.truthy ?? false);
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

  /** The key under which a document stands here; undefined if a partial index leaves it out. */
  key(doc: Value): Buffer | undefined {
    if (this.partial && !matches(this.partial, doc)) return undefined;
    return Buffer.concat(entryOf(doc, this.fields).map(keyOf));
  }

  add(key: Buffer, rid: number): void {
    this.statement('INSERT INTO ENTRIES VALUES (?, ?)').run(key, rid);
  }

  remove(key: Buffer, rid: number): void {
    this.statement('DELETE FROM ENTRIES WHERE key = ? AND rid = ?').run(key, rid);
  }

  /** @throws MongoError 11000 when the index is unique and another document has the key of this one */
  checkUnique(namespace: string, key: Buffer, doc: Value): void {
    if (!this.unique || !this.statement('SELECT rid FROM ENTRIES WHERE key = ? LIMIT 1').get(key)) return;
    const entry = entryOf(doc, this.fields);
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
    const changes = this.changes(undefined, doc);
    this.writes++;
    this.enter(changes, Number(this.insertion.run(doc.bytes).lastInsertRowid));
  }

  update(rid: number, before: Value, after: Value): void {
    const changes = this.changes(before, after);
    this.writes++;
    this.change.run(after.bytes, rid);
    this.enter(changes, rid);
  }

  delete(rid: number, doc: Value): void {
    this.writes++;
    this.enter(this.changes(doc, undefined), rid);
    this.deletion.run(rid);
  }

  /** Which entries come and go when a document becomes another one. */
  private changes(before: Value | undefined, after: Value | undefined): readonly Change[] {
    return this.indexes.flatMap((index) => {
      const [old, key] = [before && index.key(before), after && index.key(after)];
      if (old && key?.equals(old)) return [];
      if (key) index.checkUnique(this.namespace, key, after!);
      return [{ index, old, key }];
    });
  }

  private enter(changes: readonly Change[], rid: number): void {
    for (const { index, old, key } of changes) {
      if (old) index.remove(old, rid);
      if (key) index.add(key, rid);
    }
  }
}

interface Change {
  readonly index: Index;
  readonly old: Buffer | undefined;
  readonly key: Buffer | undefined;
}

/** A stored document; SQLite hands out a copy, so its bytes are nobody else's. */
export function stored(doc: Uint8Array): Value {
  return new Value(T.OBJECT, Buffer.from(doc.buffer, doc.byteOffset, doc.byteLength));
}
