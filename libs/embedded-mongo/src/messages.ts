/** What the thread is started with. */
export interface WorkerOptions {
  readonly directory: string;
  readonly socketPath: string;
  readonly ttlIntervalMs: number;
  readonly recordFile: string | undefined;
}

/** From the thread: it serves now, or something for the log. The other way comes only 'close'. */
export type FromWorker = { readonly kind: 'ready' } | { readonly kind: 'log'; readonly message: string };

/** The database's file in its folder. */
export const DATABASE = 'database.sqlite';
