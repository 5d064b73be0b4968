import { type Clock } from '@devpocket/kernel';
import { type ClusterConnection, type ClusterDirectory, type Place, RuntimeError } from '@devpocket/runtime';
import { ApiClient } from './api-client';
import { ClusterSession } from './cluster-session';
import { type Credentials, readCredentials } from './credentials';

/** A cluster that was changed or removed is noticed within this. */
const ASK_AGAIN_MS = 3_000;
export const NO_CLUSTER = 'The cluster is registered no more';

interface Entry {
  readonly session: ClusterSession;
  askedAt: number;
}

/** A session for each cluster in use; one whose connection changed gives way to another. */
export class ClusterSessions {
  private readonly entries = new Map<string, Entry>();
  private readonly opening = new Map<string, Promise<ClusterSession | null>>();

  constructor(
    private readonly directory: ClusterDirectory,
    private readonly install: () => Promise<string>,
    private readonly clock: Clock,
    private readonly log: { warn(message: string): void },
    private readonly onChange: (environmentId: string) => void,
  ) {}

  /** @throws RuntimeError as `find`, and `gone` where the cluster is registered no more */
  async of(place: Pick<Place, 'clusterId'>): Promise<ClusterSession> {
    const session = await this.find(place);
    if (!session) throw new RuntimeError('gone', NO_CLUSTER);
    return session;
  }

  /**
   * @returns null where the cluster is registered no more: nothing runs there that we could reach
   * @throws RuntimeError `invalid` without a cluster, `unreachable` where it is not usable
   */
  async find({ clusterId }: Pick<Place, 'clusterId'>): Promise<ClusterSession | null> {
    if (clusterId === null) throw new RuntimeError('invalid', 'The environment belongs to no cluster');
    const entry = this.entries.get(clusterId);
    if (entry && entry.askedAt > this.clock.millis() - ASK_AGAIN_MS) return entry.session;
    const under = this.opening.get(clusterId);
    if (under) return under;
    const opening = this.open(clusterId).finally(() => this.opening.delete(clusterId));
    this.opening.set(clusterId, opening);
    return opening;
  }

  /** Of every cluster that is known; those that cannot be opened are left out. */
  async all(): Promise<readonly ClusterSession[]> {
    const connections = await this.directory.list();
    const known = new Set(connections.map(({ clusterId }) => clusterId));
    for (const [id, { session }] of this.entries) {
      if (known.has(id)) continue;
      this.entries.delete(id);
      void session.stop();
    }
    const opened = await Promise.allSettled(connections.map((connection) => this.find(connection)));
    return opened.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []));
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.opening.values());
    await Promise.all([...this.entries.values()].map(({ session }) => session.stop()));
    this.entries.clear();
  }

  private async open(clusterId: string): Promise<ClusterSession | null> {
    const entry = this.entries.get(clusterId);
    const connection = await this.directory.find(clusterId);
    if (!connection) {
      this.entries.delete(clusterId);
      void entry?.session.stop();
      return null;
    }
    if (entry?.session.connection.revision === connection.revision) {
      entry.askedAt = this.clock.millis();
      return entry.session;
    }
    const api = new ApiClient(await this.credentialsOf(connection));
    const session = new ClusterSession(connection, api, await this.install(), this.clock, this.log);
    this.entries.set(clusterId, { session, askedAt: this.clock.millis() });
    session.subscribe(this.onChange);
    session.start();
    if (entry) void entry.session.stop();
    return session;
  }

  /** One that cannot be used says nothing of the environments there. */
  private async credentialsOf(connection: ClusterConnection): Promise<Credentials> {
    try {
      return await readCredentials(connection);
    } catch (error) {
      // Only our own sentences are sure to quote nothing.
      const why = error instanceof RuntimeError ? error.message : 'its kubeconfig cannot be read';
      throw new RuntimeError('unreachable', `The cluster ${connection.name} cannot be used: ${why}`);
    }
  }
}
