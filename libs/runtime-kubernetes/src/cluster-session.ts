import { StorageMeter } from '@devpocket/container-runtime';
import { type Clock } from '@devpocket/kernel';
import { type ClusterConnection, type Place, RuntimeError } from '@devpocket/runtime';
import { type ApiClient, pathOf } from './api-client';
import { toRuntimeError } from './api-error';
import { type Claim, type KubeEvent, type KubeObject, type Pod } from './kube-objects';
import { baseName, environmentOf, heldOf, LABEL, namespaceOf, selectorOf } from './names';
import { LogArchive } from './log-archive';
import { LogSaver } from './log-saver';
import { NamespaceKeeper } from './namespace-keeper';
import { PodLogs } from './pod-logs';
import { sightOf, type Traces } from './sight';
import { UsageReader } from './usage-reader';
import { WatchCache } from './watch-cache';

/** How long a look waits for a watch that is being opened again. */
const REOPEN_MS = 3_000;
/** How long the end of a session waits for logs that are being saved. */
const SAVE_MS = 5_000;
/** Where volumes are counted by running `du` in pods. */
const COUNT_EVERY_MS = 300_000;
const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** One cluster as this process sees it: its client, what is watched there, and the users' namespaces. */
export class ClusterSession {
  readonly pods: WatchCache<Pod>;
  readonly claims: WatchCache<Claim>;
  readonly namespaces: NamespaceKeeper;
  readonly logs: PodLogs;
  readonly saver: LogSaver;
  readonly storage: StorageMeter;
  readonly usage: UsageReader;
  private readonly archive: LogArchive;
  private readonly podEvents: WatchCache<KubeEvent>;
  private readonly claimEvents: WatchCache<KubeEvent>;
  /** Environments of which the API itself said that no pod is there, by the version of the claim at that time. */
  private readonly confirmed = new Map<string, string>();

  constructor(
    readonly connection: ClusterConnection,
    readonly api: ApiClient,
    readonly install: string,
    private readonly clock: Clock,
    log: { warn(message: string): void },
  ) {
    const ours = { labelSelector: `${LABEL.install}=${install}` };
    const namespace = namespaceOf(install, '');
    const prefix = namespace.slice(0, namespace.lastIndexOf('-') + 1);
    const about = ({ involvedObject }: KubeEvent): string | null =>
      involvedObject?.namespace?.startsWith(prefix) ? `${involvedObject.namespace}/${involvedObject.name ?? ''}` : null;
    const events = (kind: string): WatchCache<KubeEvent> =>
      new WatchCache(
        api,
        { path: '/api/v1/events', query: { fieldSelector: `involvedObject.kind=${kind}` }, keyOf: about },
        clock,
      );
    this.pods = new WatchCache(api, { path: '/api/v1/pods', query: ours, keyOf: environmentOf }, clock);
    this.claims = new WatchCache(api, { path: '/api/v1/persistentvolumeclaims', query: ours, keyOf: environmentOf }, clock);
    this.podEvents = events('Pod');
    this.claimEvents = events('PersistentVolumeClaim');
    this.namespaces = new NamespaceKeeper({ api, connection, install, held: () => [...this.claims.all(), ...this.pods.all()] });
    this.archive = new LogArchive(api, install);
    this.logs = new PodLogs(this, this.archive, clock);
    this.saver = new LogSaver(this.logs, this.archive, (message) => log.warn(message));
    this.storage = new StorageMeter(clock, COUNT_EVERY_MS);
    this.usage = new UsageReader(this, this.storage, clock);
    this.pods.subscribe((environmentId) => {
      this.confirmed.delete(environmentId);
      if (this.pods.of(environmentId).length === 0) this.storage.forget(environmentId);
    });
    this.claims.subscribe((environmentId) => {
      if (this.claims.of(environmentId).length === 0) this.confirmed.delete(environmentId);
    });
  }

  /** Calls back with each environment that looks otherwise than before. */
  subscribe(listener: (environmentId: string) => void): void {
    const told = new Map<string, string>();
    const look = (environmentId: string): void => {
      const [object] = [...this.claims.of(environmentId), ...this.pods.of(environmentId)];
      const place = object ? heldOf(object, this.connection.clusterId) : null;
      const seen = place ? JSON.stringify(sightOf(this.cached(place), this.clock.now())) : undefined;
      if (told.get(environmentId) === seen) return;
      if (seen === undefined) told.delete(environmentId);
      else told.set(environmentId, seen);
      listener(environmentId);
    };
    for (const cache of [this.pods, this.claims]) cache.subscribe(look);
  }

  start(): void {
    for (const cache of this.caches()) cache.start();
  }

  async stop(): Promise<void> {
    await this.archive.settled(SAVE_MS);
    await Promise.all(this.caches().map((cache) => cache.stop()));
    this.api.close();
  }

  namespaceOf(place: Place): string {
    return namespaceOf(this.install, place.userId);
  }

  /** @throws RuntimeError `unreachable` while pods or claims are not followed */
  async untilFresh(): Promise<void> {
    const fresh = await Promise.all([this.pods.untilFresh(REOPEN_MS), this.claims.untilFresh(REOPEN_MS)]);
    if (fresh.every(Boolean)) return;
    const why = this.pods.error ?? this.claims.error ?? 'not listed yet';
    throw new RuntimeError('unreachable', `The cluster ${this.connection.name} does not answer: ${why}`);
  }

  /**
   * Everything of environments: what the watches hold, and Secrets and Services, which nobody watches, without what is in them.
   * @throws RuntimeError `unreachable`, ApiError
   */
  async objects(): Promise<readonly KubeObject[]> {
    await this.untilFresh();
    const query = { labelSelector: `${LABEL.install}=${this.install},${LABEL.environment}` };
    const unwatched = await Promise.all(
      ['secrets', 'services'].map((kind) => this.api.list<KubeObject>(`/api/v1/${kind}`, { query, accept: METADATA_ONLY })),
    );
    return [...this.claims.all(), ...this.pods.all(), ...unwatched.flatMap(({ items }) => items)];
  }

  /** Is its volume being made, without waiting for a pod that is to use it? */
  isBinding(place: Place): boolean {
    const [claim] = this.claims.of(place.environmentId);
    const events = this.claimEvents.of(`${this.namespaceOf(place)}/${baseName(place.environmentId)}`);
    return claim?.status?.phase === 'Pending' && !events.some(({ reason }) => reason === 'WaitForFirstConsumer');
  }

  /** @throws RuntimeError `unreachable` */
  async traces(place: Place): Promise<Traces> {
    await this.untilFresh();
    const seen = this.cached(place);
    // That nothing runs is a word that ends things. The two watches, and those of other replicas, may be a moment apart.
    const going = seen.claim?.metadata?.deletionTimestamp !== undefined;
    if (seen.pods.length > 0 || going || this.isConfirmed(place, seen.claim)) return seen;
    await this.confirm(place);
    return this.cached(place);
  }

  private cached(place: Place): Traces {
    const pods = this.pods.of(place.environmentId);
    const claim = this.claims.of(place.environmentId)[0] ?? null;
    const namespace = this.namespaceOf(place);
    const events = [
      ...pods.flatMap(({ metadata }) => this.podEvents.of(`${namespace}/${metadata?.name ?? ''}`)),
      ...(pods.length > 0 ? this.claimEvents.of(`${namespace}/${baseName(place.environmentId)}`) : []),
    ];
    return { pods, claim, events };
  }

  private isConfirmed({ environmentId }: Place, claim: Claim | null): boolean {
    return claim !== null && this.confirmed.get(environmentId) === claim.metadata?.resourceVersion;
  }

  private async confirm(place: Place): Promise<void> {
    const namespace = this.namespaceOf(place);
    const query = { labelSelector: selectorOf(place, this.install) };
    try {
      const [pods, claims] = await Promise.all([
        this.api.list<Pod>(pathOf('Pod', 'v1', namespace), { query }),
        this.api.list<Claim>(pathOf('PersistentVolumeClaim', 'v1', namespace), { query }),
      ]);
      reconcile(this.pods, place.environmentId, pods.items);
      reconcile(this.claims, place.environmentId, claims.items);
      const version = claims.items[0]?.metadata?.resourceVersion;
      if (pods.items.length === 0 && version !== undefined) this.confirmed.set(place.environmentId, version);
      else this.confirmed.delete(place.environmentId);
    } catch (error) {
      throw toRuntimeError(error);
    }
  }

  private caches(): readonly { start(): void; stop(): Promise<void> }[] {
    return [this.pods, this.claims, this.podEvents, this.claimEvents];
  }
}

function reconcile<T extends KubeObject>(cache: WatchCache<T>, key: string, present: readonly T[]): void {
  const uids = new Set(present.map(({ metadata }) => metadata?.uid));
  for (const object of cache.of(key)) if (!uids.has(object.metadata?.uid)) cache.drop(object);
  for (const object of present) cache.take(object);
}
