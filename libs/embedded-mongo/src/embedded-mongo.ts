import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { FolderLock } from './folder-lock';
import { DATABASE, type FromWorker, type WorkerOptions } from './messages';

export interface EmbeddedMongoOptions {
  /** Made if it is not there, mode 0700; it holds the database, its lock and its socket. */
  readonly directory: string;
  readonly log?: (message: string) => void;
  /** Between two passes of the TTL monitor; 60 000, as MongoDB's. */
  readonly ttlIntervalMs?: number;
  /** Gets a line for each command, operator and stage when it is used first, and for each refusal. */
  readonly recordFile?: string;
}

/** A running database: any MongoDB client connects to `url`. */
export interface EmbeddedMongo {
  /** `mongodb://%2Fpath%2Fto%2Fmongo.sock/devpocket` */
  readonly url: string;
  readonly socketPath: string;
  /** Settles when the database has ended: with an error if nobody closed it. */
  readonly ended: Promise<Error | undefined>;
  /** A consistent copy while the database is in use; it can be put in place of `database.sqlite`. */
  backup(file: string): Promise<void>;
  /** Answers what has come in, closes connections and files. Safe to call twice. */
  close(): Promise<void>;
}

/** Longest path of a Unix socket: sun_path without its ending zero, on Linux 107 bytes, on macOS 103. */
const LONGEST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/**
 * Opens the database in a folder and serves it on a Unix socket within.
 * @throws FolderLockedError when a process has the folder open
 */
export async function startEmbeddedMongo(options: EmbeddedMongoOptions): Promise<EmbeddedMongo> {
  const directory = resolve(options.directory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const lock = FolderLock.take(directory);
  try {
    const socketPath = socketPathFor(directory);
    const url = `mongodb://${encodeURIComponent(socketPath)}/devpocket`;
    const { ttlIntervalMs = 60_000, recordFile, log = () => {} } = options;
    const { worker, ready, ended: over } = startThread({ directory, socketPath, ttlIntervalMs, recordFile }, log);
    await ready;
    lock.announce({ pid: process.pid, since: new Date().toISOString(), socketPath, url });
    const ended = over.then((error) => {
      lock.release();
      if (dirname(socketPath) !== directory) rmSync(dirname(socketPath), { recursive: true, force: true });
      return error;
    });
    const close = async (): Promise<void> => {
      worker.postMessage('close');
      await ended;
    };
    return { url, socketPath, ended, close, backup: (file) => copy(join(directory, DATABASE), resolve(file)) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** In the folder, unless its path is too long for a socket: then in one of its own, for this user only. */
function socketPathFor(directory: string): string {
  const within = join(directory, 'mongo.sock');
  const path =
    Buffer.byteLength(within) > LONGEST_SOCKET_PATH ? join(mkdtempSync(join(tmpdir(), 'devpocket-')), 'mongo.sock') : within;
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
    throw new Error(
      `The path of the database's socket is longer than ${LONGEST_SOCKET_PATH} bytes: ${path}. Use a shorter DATA_DIR.`,
    );
  }
  rmSync(path, { force: true }); // left by a process that was killed; the lock says that nobody listens on it
  return path;
}

function startThread(
  options: WorkerOptions,
  log: (message: string) => void,
): { worker: Worker; ready: Promise<void>; ended: EmbeddedMongo['ended'] } {
  const worker = new Worker(workerFile(), { workerData: options });
  const ended = new Promise<Error | undefined>((resolve) => {
    let cause: Error | undefined;
    worker.on('error', (error: Error) => (cause = error));
    worker.on('exit', (code) => {
      if (code !== 0) log(`the database has ended: ${String(cause ?? code)}`);
      resolve(code === 0 ? undefined : (cause ?? new Error(`The database's thread ended with code ${code}`)));
    });
  });
  const ready = new Promise<void>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => (message.kind === 'ready' ? resolve() : log(message.message)));
    void ended.then((error) => reject(error ?? new Error('The database ended while it started')));
  });
  return { worker, ready, ended };
}

/** Threads run compiled code; started from a source file (in a test) it is the build's. */
function workerFile(): string {
  const beside = join(__dirname, 'worker.js');
  if (existsSync(beside)) return beside;
  const built = join(__dirname, '../../../dist/libs/embedded-mongo/src/worker.js');
  if (!existsSync(built)) throw new Error('The embedded database is not built yet: run `npm run build`');
  return built;
}

async function copy(from: string, to: string): Promise<void> {
  const source = new DatabaseSync(from, { readOnly: true });
  try {
    await backup(source, to);
  } finally {
    source.close();
  }
}
