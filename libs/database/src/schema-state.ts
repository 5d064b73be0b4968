import { type Connection } from 'mongoose';
import { duplicateKey } from './duplicate-key';

/** What is known of the database's own shape; one document, so that a lease and what it allows are one compare-and-set. */
interface SchemaRecord {
  readonly _id: string;
  /** When each migration was done, by its id. */
  readonly applied: Readonly<Record<string, Date>>;
  readonly token: string | null;
  readonly lease_until: Date;
}

interface RestoreRecord {
  readonly _id: string;
  readonly begun_at: Date;
  readonly file: string;
}

/** Also the name in a backup. */
export const SCHEMA_COLLECTION = 'schema';
const MIGRATIONS = 'migrations';
const RESTORE = 'restore';

/** The database's record of its own shape: which migrations were done, who does one now, and whether a restore is under way. */
export class SchemaState {
  constructor(private readonly connection: Connection) {}

  async applied(): Promise<ReadonlyMap<string, Date>> {
    const record = await this.records<SchemaRecord>().findOne({ _id: MIGRATIONS });
    return new Map(Object.entries(record?.applied ?? {}));
  }

  /** False when another holds it. */
  async claim(token: string, now: Date, until: Date): Promise<boolean> {
    const records = this.records<SchemaRecord>();
    try {
      const fresh = { applied: {}, token: null, lease_until: new Date(0) };
      await records.updateOne({ _id: MIGRATIONS }, { $setOnInsert: fresh }, { upsert: true });
    } catch (error) {
      if (!duplicateKey(error)) throw error; // another process was faster
    }
    const update = { $set: { token, lease_until: until } };
    return (await records.updateOne({ _id: MIGRATIONS, lease_until: { $lte: now } }, update)).matchedCount === 1;
  }

  /** False when the lease was lost. */
  async renew(token: string, until: Date): Promise<boolean> {
    return this.write(token, { lease_until: until });
  }

  /** False when the lease was lost: then it is not recorded. */
  async record(token: string, id: string, at: Date): Promise<boolean> {
    return this.write(token, { [`applied.${id}`]: at });
  }

  async release(token: string): Promise<void> {
    await this.write(token, { token: null, lease_until: new Date(0) });
  }

  private async write(token: string, fields: object): Promise<boolean> {
    const result = await this.records<SchemaRecord>().updateOne({ _id: MIGRATIONS, token }, { $set: fields });
    return result.matchedCount === 1;
  }

  /** The file whose restore has begun and not ended; null: none. */
  async restoring(): Promise<string | null> {
    return (await this.records<RestoreRecord>().findOne({ _id: RESTORE }))?.file ?? null;
  }

  async beginRestore(file: string, at: Date): Promise<void> {
    await this.records<RestoreRecord>().updateOne({ _id: RESTORE }, { $set: { file, begun_at: at } }, { upsert: true });
  }

  async endRestore(): Promise<void> {
    await this.records<RestoreRecord>().deleteOne({ _id: RESTORE });
  }

  /** Whatever is here but the mark of a restore. */
  async clear(): Promise<void> {
    await this.records<RestoreRecord>().deleteMany({ _id: { $ne: RESTORE } });
  }

  private records<Record extends { readonly _id: string }>() {
    return this.connection.collection<Record>(SCHEMA_COLLECTION);
  }
}
