/** What the thread is started with. */
export interface WorkerOptions {
  readonly directory: string;
  readonly socketPath: string;
  readonly ttlIntervalMs: number;
  readonly recordFile: string | undefined;
}

export type ToWorker =
  { readonly kind: 'close'; readonly id: number } | { readonly kind: 'backup'; readonly id: number; readonly file: string };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'log'; readonly message: string }
  | { readonly kind: 'done'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly error: string };
