import { type DatabaseSettings } from '@devpocket/config';
import { FolderLockedError, startEmbeddedMongo } from '@devpocket/embedded-mongo';
import { type ConnectOptions, mongo } from 'mongoose';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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

/** Requests wait for a lost database at most this long before they fail with 503; a start waits as long for one that just came up. */
const PATIENCE_MS = 5_000;
const RETRY_MS = 200;

const OPTIONS: ConnectOptions = {
  serverSelectionTimeoutMS: PATIENCE_MS,
  socketTimeoutMS: 30_000,
  maxPoolSize: 32,
  retryWrites: true,
  writeConcern: { w: 'majority' },
};

/** Commands of the embedded database never fail over, and it has one writer: no retries, no majority to wait for. */
const EMBEDDED_OPTIONS: ConnectOptions = {
  serverSelectionTimeoutMS: PATIENCE_MS,
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
    await reach(settings.url, log);
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

/**
 * The driver waits for a server to be there, but gives a first connection that breaks no second try, and a database that is just
 * starting, or a proxy before it, breaks some.
 * @throws Error naming the setting, with the last try's error as its cause
 */
async function reach(url: string, log: Log): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await contact(url);
    } catch (error) {
      const named = settingNamed(error as Error);
      if (!(error instanceof mongo.MongoNetworkError) || performance.now() > until) throw named;
      log.log(`${named.message}; trying again`);
    }
    await delay(RETRY_MS);
  }
}

async function contact(url: string): Promise<void> {
  const client = new mongo.MongoClient(url, { serverSelectionTimeoutMS: PATIENCE_MS });
  try {
    await client.connect();
  } finally {
    await client.close();
  }
}

/** The driver's message repeats no credential, and does not say which setting led to it. */
export function settingNamed(error: Error): Error {
  return new Error(`MONGODB_URL: ${error.message}`, { cause: error });
}

/** Of the embedded database. */
export function folderOf(dataDir: string): string {
  return join(dataDir, 'database');
}
