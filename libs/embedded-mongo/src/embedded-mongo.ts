import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FolderLock } from './folder-lock';
import { type FromWorker, type ToWorker, type WorkerOptions } from './messages';

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

const SOCKET = 'mongo.sock';
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
    const socketPath = socketPathIn(directory);
    const url = `mongodb://${encodeURIComponent(socketPath)}/devpocket`;
    const thread = new DatabaseThread(
      { directory, socketPath, ttlIntervalMs: options.ttlIntervalMs ?? 60_000, recordFile: options.recordFile },
      options.log ?? (() => {}),
    );
    await thread.ready;
    lock.announce({ pid: process.pid, since: new Date().toISOString(), socketPath, url });
    const ended = thread.ended.then((error) => {
      lock.release();
      if (dirname(socketPath) !== directory) rmSync(dirname(socketPath), { recursive: true, force: true });
      return error;
    });
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      await thread.ask({ kind: 'close' });
      await ended;
    };
    return {
      url,
      socketPath,
      ended,
      backup: (file) => thread.ask({ kind: 'backup', file: resolve(file) }),
      close: () => (closing ??= close()),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** In the folder, unless its path is too long for a socket: then in one of its own, for this user only. */
function socketPathIn(directory: string): string {
  let path = join(directory, SOCKET);
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) path = join(mkdtempSync(join(tmpdir(), 'devpocket-')), SOCKET);
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
    throw new Error(
      `The path of the database's socket is longer than ${LONGEST_SOCKET_PATH} bytes: ${path}. Use a shorter DATA_DIR.`,
    );
  }
  rmSync(path, { force: true }); // left by a process that was killed; the lock says that nobody listens on it
  return path;
}

type Question = { readonly kind: 'close' } | { readonly kind: 'backup'; readonly file: string };

class DatabaseThread {
  readonly ready: Promise<void>;
  readonly ended: Promise<Error | undefined>;
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  private lastId = 0;

  constructor(options: WorkerOptions, log: (message: string) => void) {
    this.worker = new Worker(workerFile(), { workerData: options, stdout: false, stderr: false });
    this.ended = new Promise((resolve) => {
      let cause: Error | undefined;
      this.worker.on('error', (error) => (cause = error instanceof Error ? error : new Error(String(error))));
      this.worker.on('exit', (code) => {
        const error = cause ?? (code === 0 ? undefined : new Error(`The database's thread ended with code ${code}`));
        if (error) log(`the database has ended: ${error.message}`);
        for (const { reject } of this.waiting.values()) reject(error ?? new Error('The database is closed'));
        resolve(error);
      });
    });
    this.ready = new Promise((resolve, reject) => {
      void this.ended.then((error) => reject(error ?? new Error('The database ended while it started')));
      this.worker.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') resolve();
        else if (message.kind === 'log') log(message.message);
        else this.settle(message);
      });
    });
  }

  private settle(message: Extract<FromWorker, { id: number }>): void {
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.kind === 'done') waiting?.resolve();
    else waiting?.reject(new Error(message.error));
  }

  ask(question: Question): Promise<void> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...question, id } satisfies ToWorker);
    });
  }
}

/** Threads run compiled code; started from a source file (in a test) it is the build's. */
function workerFile(): string {
  const beside = join(__dirname, 'worker.js');
  if (existsSync(beside)) return beside;
  const built = join(__dirname, '../../../dist/libs/embedded-mongo/src/worker.js');
  if (!existsSync(built)) throw new Error('The embedded database is not built yet: run `npm run build`');
  return built;
}
