import { type Clock } from '@devpocket/kernel';
import { type ApiClient, type Query } from './api-client';
import { ApiError } from './api-error';
import { type KubeMeta, type KubeObject } from './kube-objects';

/** The API ends a watch after so long; spread, so that those of many replicas do not end together. */
const WATCH_SECONDS = 480;
const WATCH_SPREAD_SECONDS = 240;
/** Bookmarks come each minute: a watch that had one and is silent for so long is dead, whatever its connection says. */
const SILENCE_MS = 150_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 10_000;
/** A watch that ends sooner than this is not reopened at once. */
const SHORT_WATCH_MS = 1_000;
/** Late events of what was removed come within this. */
const REMEMBER_REMOVED_MS = 60_000;
const MOST_LINE_BYTES = 16 * 2 ** 20;

export interface CacheOptions<T> {
  readonly path: string;
  readonly query?: Query;
  /** What objects are found by, such as their environment's id; null: not ours, not kept. */
  readonly keyOf: (object: T) => string | null;
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T & { readonly code?: number; readonly message?: string };
}

/**
 * One kind of object as the API has it, held by a list and a watch from there on, shared by all who look. While the watch is
 * broken it says so (`fresh`), and what it holds is old. Our own writes are taken in at once, and no older event undoes them.
 */
export class WatchCache<T extends KubeObject> {
  private readonly objects = new Map<string, Map<string, T>>();
  private readonly keys = new Map<string, string>();
  private readonly removed = new Map<string, number>();
  private readonly listeners = new Set<(key: string) => void>();
  private readonly waiting = new Set<() => void>();
  private readonly stopper = new AbortController();
  private done: Promise<void> = Promise.resolve();
  private isFresh = false;
  private lastError: string | null = null;

  constructor(
    private readonly api: Pick<ApiClient, 'list' | 'stream'>,
    private readonly options: CacheOptions<T>,
    private readonly clock: Clock,
  ) {}

  start(): void {
    this.done = this.run(this.stopper.signal);
  }

  async stop(): Promise<void> {
    this.stopper.abort();
    for (const wake of this.waiting) wake();
    await this.done;
  }

  /** Does it follow what the API has? */
  get fresh(): boolean {
    return this.isFresh;
  }

  /** Why it does not. */
  get error(): string | null {
    return this.lastError;
  }

  /** Resolves as soon as it is fresh, or after `ms`; tells which. */
  async untilFresh(ms: number): Promise<boolean> {
    if (this.isFresh || this.stopper.signal.aborted) return this.isFresh;
    const timer = new AbortController();
    await Promise.race([
      new Promise<void>((resolve) => this.waiting.add(resolve)),
      this.clock.wait(ms, timer.signal).catch(() => undefined), // ended below: it became fresh first
    ]);
    timer.abort();
    return this.isFresh;
  }

  of(key: string): readonly T[] {
    return [...(this.objects.get(key)?.values() ?? [])];
  }

  all(): readonly T[] {
    return [...this.objects.values()].flatMap((objects) => [...objects.values()]);
  }

  /** Calls back with the key of what changed. @returns ends it */
  subscribe(listener: (key: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The answer to a write of ours, which the watch will bring too, but later. */
  take(object: T): void {
    const key = this.options.keyOf(object);
    const id = idOf(object.metadata);
    if (key === null || this.removed.has(object.metadata?.uid ?? '')) return;
    const before = this.objects.get(key)?.get(id);
    if (before && isOlder(object.metadata, before.metadata)) return;
    const objects = this.objects.get(key) ?? new Map<string, T>();
    objects.set(id, slim(object));
    this.objects.set(key, objects);
    this.keys.set(id, key);
    this.tell(key);
  }

  /** It is gone. A later object of the same name is another one. */
  drop(object: KubeObject): void {
    const id = idOf(object.metadata);
    const key = this.keys.get(id);
    const uid = object.metadata?.uid;
    if (uid !== undefined) this.forgetLater(uid);
    if (key === undefined) return;
    const objects = this.objects.get(key);
    const held = objects?.get(id);
    if (uid !== undefined && held?.metadata?.uid !== uid) return;
    objects?.delete(id);
    this.keys.delete(id);
    if (objects?.size === 0) this.objects.delete(key);
    this.tell(key);
  }

  private forgetLater(uid: string): void {
    const now = this.clock.millis();
    this.removed.set(uid, now);
    for (const [old, at] of this.removed) {
      if (at > now - REMEMBER_REMOVED_MS) break;
      this.removed.delete(old);
    }
  }

  private tell(key: string): void {
    for (const listener of this.listeners) listener(key);
  }

  private setFresh(fresh: boolean): void {
    this.isFresh = fresh;
    if (!fresh) return;
    this.lastError = null;
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  private async run(signal: AbortSignal): Promise<void> {
    let version: string | null = null;
    let failures = 0;
    while (!signal.aborted) {
      try {
        // A list alone is old in a moment: where watching is refused it would be fresh and not, by turns.
        version ??= await this.list(signal);
        const began = this.clock.millis();
        version = await this.watch(version, signal);
        failures = 0;
        if (this.clock.millis() - began < SHORT_WATCH_MS) await this.clock.wait(SHORT_WATCH_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.setFresh(false);
        this.lastError = error instanceof Error ? error.message : String(error);
        // The version is older than what the API remembers, or not of this API any more: list again.
        if (error instanceof ApiError && error.status !== 0 && error.status < 500) version = null;
        failures += 1;
        const pause = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 8));
        await this.clock.wait(pause * (0.5 + Math.random()), signal).catch(() => undefined); // stopped
      }
    }
  }

  private async list(signal: AbortSignal): Promise<string> {
    const { path, query } = this.options;
    const { items, resourceVersion } = await this.api.list<T>(path, { ...(query ? { query } : {}), signal, timeoutMs: 60_000 });
    const present = new Set<string>();
    for (const item of items) {
      present.add(idOf(item.metadata));
      this.take(item);
    }
    for (const object of this.all()) if (!present.has(idOf(object.metadata))) this.drop(object);
    return resourceVersion;
  }

  /** Follows until the API ends it. @returns the version to go on from @throws ApiError */
  private async watch(from: string, signal: AbortSignal): Promise<string> {
    const seconds = Math.round(WATCH_SECONDS + Math.random() * WATCH_SPREAD_SECONDS);
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    const query: Query = {
      ...this.options.query,
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: from,
      timeoutSeconds: seconds,
    };
    const overdue = setTimeout(() => end.abort(), (seconds + 30) * 1000).unref();
    let silence: NodeJS.Timeout | null = null;
    let version = from;
    try {
      const response = await this.api.stream(this.options.path, { query, signal: either });
      this.setFresh(true);
      for await (const line of linesOf(response)) {
        const event = JSON.parse(line.toString('utf8')) as WatchEvent<T>;
        if (event.type === 'BOOKMARK' || silence) {
          silence ??= setTimeout(() => end.abort(), SILENCE_MS).unref();
          silence.refresh();
        }
        version = this.follow(event) ?? version;
      }
      return version;
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw new ApiError(0, error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(overdue);
      if (silence) clearTimeout(silence);
    }
  }

  private follow(event: WatchEvent<T>): string | null {
    const { object } = event;
    switch (event.type) {
      case 'ERROR':
        throw new ApiError(object.code ?? 500, object.message ?? 'The watch failed');
      case 'DELETED':
        this.drop(object);
        break;
      case 'ADDED':
      case 'MODIFIED':
        this.take(object);
        break;
      case 'BOOKMARK':
        break;
    }
    return object.metadata?.resourceVersion ?? null;
  }
}

/** Lines of a stream as they become complete; a reader that waits holds the stream back. */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let begin = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, begin)) {
      parts.push(chunk.subarray(begin, at));
      yield parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
      parts = [];
      size = 0;
      begin = at + 1;
    }
    if (begin < chunk.length) {
      parts.push(chunk.subarray(begin));
      size += chunk.length - begin;
      if (size > MOST_LINE_BYTES) throw new ApiError(0, 'A line of the answer is too long');
    }
  }
  if (size > 0) yield Buffer.concat(parts);
}

function idOf(metadata: KubeMeta | undefined): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

/** Versions of one object are numbers that grow (said so by the API since 1.35, and always so). */
function isOlder(a: KubeMeta | undefined, b: KubeMeta | undefined): boolean {
  if (a?.uid !== b?.uid || a?.resourceVersion === undefined || b?.resourceVersion === undefined) return false;
  return BigInt(a.resourceVersion) < BigInt(b.resourceVersion);
}

/** Without what nobody reads: the record of who set which field is often larger than all the rest. */
function slim<T extends KubeObject>(object: T): T {
  const { managedFields: _dropped, ...metadata } = (object.metadata ?? {}) as KubeMeta & { readonly managedFields?: unknown };
  return { ...object, metadata };
}
