import { type DatabaseSettings } from '@devpocket/config';
import { FolderLockedError, startEmbeddedMongo } from '@devpocket/embedded-mongo';
import { type ConnectOptions } from 'mongoose';
import { join } from 'node:path';

/** Where the database is, how to connect, and how to let go of it. */
export abstract class DatabaseHandle {
  abstract readonly url: string;
  abstract readonly options: ConnectOptions;
  /** `embedded`: this process runs it. `joined`: another process holds the folder, and this one talks to its socket. */
  abstract readonly kind: 'mongodb' | 'embedded' | 'joined';
  abstract close(): Promise<void>;
}

interface Log {
  log(message: string): void;
}

/** Requests wait for a lost database at most this long before they fail with 503. */
const OPTIONS: ConnectOptions = {
  serverSelectionTimeoutMS: 5_000,
  socketTimeoutMS: 30_000,
  maxPoolSize: 32,
  retryWrites: true,
  writeConcern: { w: 'majority' },
};

/** Commands of the embedded database never fail over, and it has one writer: no retries, no majority to wait for. */
const EMBEDDED_OPTIONS: ConnectOptions = {
  serverSelectionTimeoutMS: 5_000,
  maxPoolSize: 16,
  retryWrites: false,
  retryReads: false,
};

/**
 * @param join whether to use the socket of the process that holds the folder (the CLI beside a running server), rather than fail
 * @throws FolderLockedError naming the holder
 */
export async function openDatabase(settings: DatabaseSettings, log: Log, join = false): Promise<DatabaseHandle> {
  if (settings.url !== null) {
    return { url: settings.url, options: { ...OPTIONS, dbName: settings.name }, kind: 'mongodb', close: () => Promise.resolve() };
  }
  const options = { ...EMBEDDED_OPTIONS, dbName: settings.name };
  try {
    const server = await startEmbeddedMongo({
      directory: folderOf(settings.dataDir),
      log: (message) => log.log(message),
      ...(settings.recordFile === null ? {} : { recordFile: settings.recordFile }),
    });
    return { url: server.url, options, kind: 'embedded', close: () => server.close() };
  } catch (error) {
    if (!join || !(error instanceof FolderLockedError) || !error.holder) throw error;
    return { url: error.holder.url, options, kind: 'joined', close: () => Promise.resolve() };
  }
}

function folderOf(dataDir: string): string {
  return join(dataDir, 'database');
}
