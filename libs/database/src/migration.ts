import { type mongo } from 'mongoose';

/** What a change of the database's shape may use. */
export interface MigrationContext {
  /** Raw, without schemas: a migration must still mean the same when schemas have moved on. */
  readonly db: mongo.Db;
  /** Aborted when this process may no longer go on (it lost its lease). Long work looks at it between two writes. */
  readonly signal: AbortSignal;
  /** @param done and `total` in whatever unit the migration counts, for a person who waits */
  readonly progress: (done: number, total: number) => void;
}

/**
 * One change of what is stored, in one place of a total order. It is run again from the start after a crash at any instant, and the
 * version before it may still be serving: so it is idempotent, and takes nothing away that that version reads.
 */
export interface Migration {
  /** Four digits and words, as `0001-names-in-lower-case`; never changed once released. */
  readonly id: string;
  readonly up: (context: MigrationContext) => Promise<void>;
}

/** Every change there ever was, oldest first. Only ever appended to. */
export const MIGRATIONS: readonly Migration[] = [];

const ID = /^\d{4}-[a-z0-9]+(-[a-z0-9]+)*$/;

/** @throws Error for a list that is out of order, has a name twice or one that is none: a fault of ours */
export function checkOrder(migrations: readonly Migration[]): void {
  migrations.forEach(({ id }, at) => {
    if (!ID.test(id)) throw new Error(`"${id}" is no name of a migration`);
    const before = migrations[at - 1]?.id;
    if (before !== undefined && before.slice(0, 4) >= id.slice(0, 4))
      throw new Error(`Migration ${id} does not come after ${before}`);
  });
}
