import { type DatabaseSettings } from '@devpocket/config';
import { FolderLockedError, startEmbeddedMongo } from '@devpocket/embedded-mongo';
import { type ConnectOptions, mongo } from 'mongoose';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mendDriver } from './driver-mend';

mendDriver();

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

/**
 * plans/0052-mongodb-in-production.md tells each one's why. A parameter of the URL wins over what is here. No `timeoutMS`: the driver
 * withdrew it (7.8), because a command that it gave up could leave its answer to the next.
 */
const OPTIONS: ConnectOptions = {
  appName: 'devpocket',
  serverSelectionTimeoutMS: PATIENCE_MS,
  // Of a connection being made, and of the monitor's question: with the interval below, a server that swallows everything is noticed within
  // ten seconds, and then commands under way are given up too.
  connectTimeoutMS: PATIENCE_MS,
  heartbeatFrequencyMS: 5_000,
  // Of a single connection that died unnoticed, while the monitor's lives.
  socketTimeoutMS: 30_000,
  maxPoolSize: 32,
  waitQueueTimeoutMS: PATIENCE_MS,
  retryReads: true,
  retryWrites: true,
  writeConcern: { w: 'majority', wtimeoutMS: 10_000 },
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
    const options = { ...besides(settings.url, OPTIONS), dbName: settings.name };
    return { url: settings.url, options, kind: 'mongodb', close: () => Promise.resolve() };
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

/** The driver lets options win over the URL; an operator has the URL. Names count without regard to case, as in the URL. */
export function besides(url: string, options: ConnectOptions): ConnectOptions {
  const names = new Set([...new URLSearchParams(url.split('?')[1] ?? '').keys()].map((name) => name.toLowerCase()));
  const concern = ['w', 'wtimeoutms', 'journal'].some((name) => names.has(name));
  const left = ([name]: [string, unknown]): boolean => !names.has(name.toLowerCase()) && !(name === 'writeConcern' && concern);
  return Object.fromEntries(Object.entries(options).filter(left));
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
