import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Who holds the folder. */
export interface Holder {
  readonly pid: number;
  /** ISO 8601 */
  readonly since: string;
  readonly socketPath: string;
  /** Where to connect to it. */
  readonly url: string;
}

/** Another process (or another server of this one) has the folder open. */
export class FolderLockedError extends Error {
  override readonly name = 'FolderLockedError';

  /** @param holder null when it has not said yet who it is */
  constructor(
    readonly directory: string,
    readonly holder: Holder | null,
  ) {
    const who = holder ? `process ${holder.pid} since ${holder.since}` : 'another process';
    super(`The database folder ${directory} is in use by ${who}. Stop it, or use another DATA_DIR.`);
  }
}

const LOCK = 'lock.sqlite';
const HOLDER = 'holder.json';

/** Held through the operating system, which lets go of it however the process ends. */
export class FolderLock {
  private constructor(
    private readonly directory: string,
    private readonly db: DatabaseSync,
  ) {}

  /** @throws FolderLockedError */
  static take(directory: string): FolderLock {
    const db = new DatabaseSync(join(directory, LOCK), { timeout: 0 });
    try {
      db.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    } catch (error) {
      db.close();
      if (!isBusy(error)) throw error;
      throw new FolderLockedError(directory, readHolder(directory));
    }
    rmSync(join(directory, HOLDER), { force: true });
    return new FolderLock(directory, db);
  }

  announce(holder: Holder): void {
    const file = join(this.directory, HOLDER);
    writeFileSync(`${file}.new`, JSON.stringify(holder), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  release(): void {
    rmSync(join(this.directory, HOLDER), { force: true });
    this.db.close();
  }
}

/** SQLITE_BUSY */
function isBusy(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'errcode' in error && error.errcode === 5;
}

function readHolder(directory: string): Holder | null {
  try {
    return JSON.parse(readFileSync(join(directory, HOLDER), 'utf8')) as Holder; // renamed into place whole
  } catch {
    return null;
  }
}
