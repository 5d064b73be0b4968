import { Clock } from '@devpocket/kernel';
import { PassThrough } from 'node:stream';
import { type IncomingMessage } from 'node:http';
import { type CallOptions } from './api-client';
import { ApiError } from './api-error';
import { type KubeObject } from './kube-objects';
import { WatchCache } from './watch-cache';

/** An API with one list, whose watches the test feeds. */
class FakeApi {
  objects: KubeObject[] = [];
  version = 1;
  /** While set, calls fail with it. */
  down: Error | null = null;
  /** While set, watches fail with what it makes. */
  blind: (() => Error) | null = null;
  lists = 0;
  readonly watches: { readonly from: string; readonly stream: PassThrough }[] = [];

  list<T extends KubeObject>(): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    this.lists += 1;
    if (this.down) return Promise.reject(this.down);
    return Promise.resolve({ items: this.objects as T[], resourceVersion: String(this.version) });
  }

  stream(_path: string, { query, signal }: CallOptions = {}): Promise<IncomingMessage> {
    const refusal = this.down ?? this.blind?.();
    if (refusal) return Promise.reject(refusal);
    const stream = new PassThrough();
    signal?.addEventListener('abort', () => stream.destroy());
    this.watches.push({ from: String(query?.resourceVersion), stream });
    return Promise.resolve(stream as unknown as IncomingMessage);
  }

  get watch(): PassThrough {
    const watch = this.watches.at(-1);
    if (!watch) throw new Error('nobody watches');
    return watch.stream;
  }

  send(type: string, object: object): void {
    this.watch.write(`${JSON.stringify({ type, object })}\n`);
  }
}

/** Waits pass at once, and are noted. */
class HastyClock extends Clock {
  readonly waits: number[] = [];

  now(): Date {
    return new Date(0);
  }

  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    this.waits.push(ms);
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  }
}

const object = (name: string, version: number, uid = name): KubeObject => ({
  metadata: { name, namespace: 'n', uid, resourceVersion: String(version), labels: { key: name } },
});
const until = async (done: () => boolean): Promise<void> => {
  for (let turn = 0; !done(); turn += 1) {
    if (turn > 10_000) throw new Error('never');
    await new Promise((resolve) => setImmediate(resolve));
  }
};

describe('a watched list', () => {
  let api: FakeApi;
  let clock: HastyClock;
  let cache: WatchCache<KubeObject>;
  const versions = (key: string): (string | undefined)[] => cache.of(key).map(({ metadata }) => metadata?.resourceVersion);

  beforeEach(async () => {
    api = new FakeApi();
    api.objects = [object('a', 1)];
    clock = new HastyClock();
    cache = new WatchCache(api, { path: '/things', keyOf: ({ metadata }) => metadata?.labels?.key ?? null }, clock);
    cache.start();
    await until(() => api.watches.length === 1);
  });
  afterEach(() => cache.stop());

  it('holds what the list has, then what the watch brings', async () => {
    expect(cache.fresh).toBe(true);
    expect(versions('a')).toEqual(['1']);
    const heard: string[] = [];
    cache.subscribe((key) => heard.push(key));
    api.send('ADDED', object('b', 2));
    api.send('MODIFIED', object('a', 3));
    api.send('DELETED', object('b', 4));
    await until(() => heard.length === 3);
    expect([versions('a'), versions('b'), heard]).toEqual([['3'], [], ['b', 'a', 'b']]);
  });

  it('goes on from the last version, a bookmark counted, when a watch ends well', async () => {
    api.send('BOOKMARK', { metadata: { resourceVersion: '9' } });
    api.watch.end();
    await until(() => api.watches.length === 2);
    expect(api.watches[1]?.from).toBe('9');
    expect([cache.fresh, api.lists]).toEqual([true, 1]);
  });

  it.each([
    ['as an event', () => api.send('ERROR', { code: 410, message: 'too old resource version' })],
    ['as an answer', () => ((api.down = new ApiError(410, 'Gone')), api.watch.end())],
  ])('lists again when its version is too old, told %s', async (_how, tell) => {
    api.objects = [object('c', 20)];
    api.version = 20;
    tell();
    await until(() => cache.error !== null || api.lists > 1);
    api.down = null;
    await until(() => cache.fresh && cache.of('c').length === 1);
    expect(cache.of('a')).toEqual([]);
    await until(() => api.watches.at(-1)?.from === '20');
  });

  it('says that it is old while the API does not answer, tries again later and later, and recovers by itself', async () => {
    api.down = new ApiError(0, 'connect ECONNREFUSED');
    api.watch.destroy(new Error('read ECONNRESET'));
    await until(() => !cache.fresh);
    await until(() => clock.waits.length > 12);
    expect(await cache.untilFresh(1)).toBe(false);
    expect(cache.error).toBe('connect ECONNREFUSED');
    expect(versions('a')).toEqual(['1']);
    expect(Math.max(...clock.waits.slice(0, 2))).toBeLessThan(400);
    expect(Math.max(...clock.waits)).toBeLessThanOrEqual(15_000);
    expect(Math.max(...clock.waits)).toBeGreaterThan(5_000);
    api.down = null;
    await until(() => cache.fresh);
    expect(cache.error).toBeNull();
  });

  it('is never fresh by turns where it may list and not watch', async () => {
    const seen: boolean[] = [];
    api.blind = () => (seen.push(cache.fresh), new ApiError(403, 'cannot watch'));
    api.watch.end();
    await until(() => seen.length === 4);
    expect([seen, cache.error]).toEqual([[true, false, false, false], 'cannot watch']);
    api.blind = null;
    await until(() => cache.fresh);
  });

  it('takes what we wrote at once, and no older event undoes it', async () => {
    cache.take(object('a', 7));
    api.send('MODIFIED', object('a', 5));
    api.send('ADDED', object('z', 8));
    await until(() => cache.of('z').length === 1);
    expect(versions('a')).toEqual(['7']);
    const [gone] = cache.of('a');
    if (gone) cache.drop(gone);
    api.send('MODIFIED', object('a', 9));
    api.send('ADDED', object('y', 10));
    await until(() => cache.of('y').length === 1);
    expect(versions('a')).toEqual([]);
    // The same name, another object.
    api.send('ADDED', object('a', 11, 'another'));
    await until(() => cache.of('a').length === 1);
  });

  it('is not undone by the end of an object that bore the name before', async () => {
    cache.take(object('a', 7, 'another'));
    api.send('DELETED', object('a', 8, 'a'));
    api.send('ADDED', object('z', 9));
    await until(() => cache.of('z').length === 1);
    expect(versions('a')).toEqual(['7']);
  });
});
