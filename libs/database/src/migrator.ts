import { type Clock, DomainError, Loop, newId } from '@devpocket/kernel';
import { type Connection } from 'mongoose';
import { checkOrder, type Migration, MIGRATIONS } from './migration';
import { SchemaState } from './schema-state';

/** How long a process that went away keeps others waiting. */
const LEASE_MS = 30_000;
const RENEW_MS = 10_000;
const LOOK_MS = 500;
/** A server that starts waits so long for another's work; what takes longer is done by `db migrate` beforehand. */
const PATIENCE_MS = 10 * 60_000;

export interface MigrationStatus {
  readonly applied: readonly { readonly id: string; readonly at: Date }[];
  readonly pending: readonly string[];
  /** Done by a version that knows more than this one. */
  readonly unknown: readonly string[];
  /** The file of a restore that has not ended; null: none. */
  readonly restoring: string | null;
}

export interface MigratorOptions {
  readonly log: (message: string) => void;
  readonly migrations?: readonly Migration[];
  readonly progress?: (id: string, done: number, total: number) => void;
}

/** Brings a database to the shape that this version expects: each change once, in order, by one process at a time. */
export class Migrator {
  private readonly state: SchemaState;
  private readonly migrations: readonly Migration[];

  constructor(
    private readonly connection: Connection,
    private readonly clock: Clock,
    private readonly options: MigratorOptions,
  ) {
    this.state = new SchemaState(connection);
    this.migrations = options.migrations ?? MIGRATIONS;
    checkOrder(this.migrations);
  }

  async status(): Promise<MigrationStatus> {
    const [done, restoring] = await Promise.all([this.state.applied(), this.state.restoring()]);
    const known = new Set(this.migrations.map(({ id }) => id));
    return {
      applied: [...done].map(([id, at]) => ({ id, at })).sort((a, b) => (a.id < b.id ? -1 : 1)),
      pending: [...known].filter((id) => !done.has(id)),
      unknown: [...done.keys()].filter((id) => !known.has(id)).sort(),
      restoring,
    };
  }

  /**
   * Safe in any number of processes at once: one works, the others wait for it.
   * @returns what was done here
   * @throws DomainError `database_newer | restore_unfinished | migration_busy | migration_failed`
   */
  async run(): Promise<readonly string[]> {
    const until = this.clock.millis() + PATIENCE_MS;
    for (let told = false; ;) {
      if ((await this.pending()).length === 0) return [];
      const token = newId();
      if (await this.state.claim(token, this.clock.now(), this.lease())) return this.holding(token);
      if (!told) this.options.log('Another process is changing the database: waiting for it');
      told = true;
      if (this.clock.millis() >= until) {
        const message = `Another process has been changing the database for over ${PATIENCE_MS / 60_000} min`;
        throw new DomainError('unavailable', 'migration_busy', message);
      }
      await this.clock.wait(LOOK_MS);
    }
  }

  /** @throws DomainError when this version must not work on the database */
  private async pending(): Promise<readonly string[]> {
    const { pending, unknown, restoring } = await this.status();
    refuse(unknown, restoring);
    return pending;
  }

  private lease(): Date {
    return new Date(this.clock.millis() + LEASE_MS);
  }

  private async holding(token: string): Promise<readonly string[]> {
    const lost = new AbortController();
    let heldUntil = this.lease().getTime();
    const keeper = new Loop(this.clock, {
      name: 'migration lease',
      intervalMs: RENEW_MS,
      turn: async () => {
        const until = this.lease();
        if (await this.state.renew(token, until)) heldUntil = until.getTime();
        else lost.abort(leaseLost());
      },
      // A database that does not answer for a moment takes nothing from anybody; one that does so for the whole lease may have.
      onError: () => this.clock.millis() >= heldUntil && lost.abort(leaseLost()),
    });
    keeper.start();
    try {
      return await this.apply(token, lost.signal);
    } finally {
      await keeper.stop();
      await this.state.release(token).catch(() => undefined); // it ends by itself
    }
  }

  private async apply(token: string, signal: AbortSignal): Promise<readonly string[]> {
    const done: string[] = [];
    const pending = new Set(await this.pending());
    for (const { id, up } of this.migrations) {
      if (!pending.has(id)) continue;
      const begun = this.clock.millis();
      try {
        const { db } = this.connection;
        if (!db) throw new Error('The database is not connected');
        await up({ db, signal, progress: (part, total) => this.options.progress?.(id, part, total) });
      } catch (error) {
        signal.throwIfAborted();
        const reason = error instanceof Error ? error.message : String(error);
        const message = `The migration ${id} failed: ${reason}. Nothing is lost: it begins anew at the next start or \`db migrate\``;
        throw new DomainError('unavailable', 'migration_failed', message, { cause: error });
      }
      signal.throwIfAborted();
      if (!(await this.state.record(token, id, this.clock.now()))) throw leaseLost();
      this.options.log(`Migration ${id} is done (${((this.clock.millis() - begun) / 1000).toFixed(1)} s)`);
      done.push(id);
    }
    return done;
  }
}

function refuse(unknown: readonly string[], restoring: string | null): void {
  if (restoring !== null) throw restoreUnfinished(restoring);
  if (unknown.length === 0) return;
  const message = `This database belongs to a newer version (it has had ${unknown.join(', ')}). Start that one, or restore a backup of before`;
  throw new DomainError('invalid_state', 'database_newer', message);
}

/** @param file that was being restored */
export function restoreUnfinished(file: string): DomainError {
  const message = `A restore of ${file} into this database has begun and not ended. Run it again: devpocket db restore FILE --force`;
  return new DomainError('invalid_state', 'restore_unfinished', message);
}

function leaseLost(): DomainError {
  return new DomainError('conflict', 'migration_lease_lost', 'Another process has taken over the changing of the database');
}
