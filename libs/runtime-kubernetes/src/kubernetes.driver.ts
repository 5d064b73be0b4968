import { type Clock } from '@devpocket/kernel';
import {
  type ClusterDirectory,
  type EnvironmentSpec,
  type Held,
  type LogEvent,
  type LogQuery,
  type Place,
  RuntimeDriver,
  RuntimeError,
  type RuntimeReport,
  type Sighting,
  type TerminalChannel,
  type TerminalRecord,
  type TerminalRequest,
  type Usage,
} from '@devpocket/runtime';
import { toRuntimeError } from './api-error';
import { type ClusterSession } from './cluster-session';
import { ClusterSessions, NO_CLUSTER } from './cluster-sessions';
import { EnvironmentActs } from './environment-acts';
import { heldOf, incarnationOf } from './names';
import { PodTerminals } from './pod-terminals';
import { sightOf } from './sight';

export interface KubernetesRuntimeOptions {
  /** The mark of this installation, by which its objects are told from those of others in the same cluster. */
  readonly install: () => Promise<string>;
  readonly clusters: ClusterDirectory;
  readonly clock: Clock;
  /** Output of a shell that is kept beside it in the pod. */
  readonly terminalBufferBytes: number;
  /** Why it is this driver, for the start-up line. */
  readonly chosen: string;
  readonly log: { info(message: string): void; warn(message: string): void; error(message: string): void };
}

/** Environments as pods with volumes in any number of Kubernetes clusters. */
export class KubernetesDriver extends RuntimeDriver {
  readonly kind = 'kubernetes';
  readonly durableTerminals = true;
  private readonly sessions: ClusterSessions;
  private readonly acts: EnvironmentActs;
  private readonly podTerminals: PodTerminals;
  private readonly listeners = new Set<(environmentId: string) => void>();

  constructor(private readonly options: KubernetesRuntimeOptions) {
    super();
    const { clusters, install, clock, log } = options;
    const changed = (environmentId: string): void => {
      for (const listener of this.listeners) listener(environmentId);
    };
    this.sessions = new ClusterSessions(clusters, install, clock, log, changed);
    this.acts = new EnvironmentActs(clock);
    this.podTerminals = new PodTerminals(this.sessions, clock, options.terminalBufferBytes);
  }

  /** Does not wait for clusters: one that does not answer now may answer later. */
  async open(): Promise<RuntimeReport> {
    const sessions = await this.sessions.all();
    const names = sessions.map(({ connection }) => connection.name);
    const warnings =
      names.length > 0 ? [] : ['No cluster is registered yet, so no environment can be created: devpocket cluster add'];
    const summary = `environments are pods of ${names.length === 1 ? 'the cluster' : `${names.length} clusters`}${names.length > 0 ? `: ${names.join(', ')}` : ''} (${this.options.chosen})`;
    return { kind: 'kubernetes', summary, warnings, multiUser: true, exposable: true };
  }

  /** Pods and their shells go on without a server. */
  async close(_options: { readonly keepTerminals: boolean }): Promise<void> {
    this.podTerminals.detachAll();
    await this.sessions.close();
  }

  /** One cluster that answers is enough: what is wrong with the others is told of their environments. */
  async check(signal: AbortSignal): Promise<void> {
    const sessions = await this.sessions.all();
    if (sessions.length === 0) return;
    const asked = sessions.map(({ api }) => api.get('/version', { signal, timeoutMs: 5_000 }));
    await Promise.any(asked).catch(() => {
      throw new RuntimeError('unreachable', 'No cluster answers');
    });
  }

  async look(place: Place): Promise<Sighting> {
    const session = await this.sessions.find(place);
    if (!session) return { seen: 'absent' };
    return sightOf(await session.traces(place), this.options.clock.now());
  }

  /** Of clusters that have been asked for something since. */
  override onChange(listener: (environmentId: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async start(spec: EnvironmentSpec): Promise<void> {
    const session = await this.sessions.find(spec);
    if (!session) throw new RuntimeError('invalid', NO_CLUSTER);
    await this.acts.start(session, spec);
  }

  async stop(
    place: Place,
    { incarnation, graceMs, kill }: { readonly incarnation: number; readonly graceMs: number; readonly kill: boolean },
  ): Promise<void> {
    const session = await this.sessions.find(place);
    if (!session) return;
    const { pods } = await session.traces(place);
    for (const pod of pods)
      if (incarnationOf(pod) <= incarnation) await this.acts.stop(session, place, pod, Math.ceil(graceMs / 1000), kill);
  }

  async destroy(place: Place): Promise<void> {
    const session = await this.sessions.find(place);
    if (session) await this.acts.destroy(session, place);
  }

  /** Of a cluster that does not answer, nothing. Namespaces that nothing is in go by the way. */
  async list(): Promise<readonly Held[]> {
    const held = new Map<string, Held>();
    for (const session of await this.sessions.all()) {
      const { clusterId, name } = session.connection;
      try {
        const objects = await session.objects();
        for (const object of objects) {
          const one = heldOf(object, clusterId);
          if (one) held.set(`${clusterId}/${one.environmentId}`, one);
        }
        const used = new Set(objects.map(({ metadata }) => metadata?.namespace ?? ''));
        await session.namespaces.sweep(used, this.options.clock.now());
      } catch (error) {
        this.options.log.warn(`The cluster ${name} was not swept: ${toRuntimeError(error).message}`);
      }
    }
    return [...held.values()];
  }

  /** A cluster that does not answer leaves its environments out. */
  async usage(places: readonly Place[]): Promise<ReadonlyMap<string, Usage>> {
    const sessions = new Map<ClusterSession, Place[]>();
    for (const place of places) {
      const session = await this.sessions.of(place).catch(() => null);
      if (session) sessions.set(session, [...(sessions.get(session) ?? []), place]);
    }
    const readings = await Promise.all([...sessions].map(([session, own]) => session.usage.read(own)));
    return new Map(readings.flatMap((reading) => [...reading]));
  }

  async *logs(place: Place, query: LogQuery, signal: AbortSignal): AsyncIterable<LogEvent> {
    const session = await this.sessions.of(place);
    yield* session.logs.read(place, query, signal);
  }

  openTerminal(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    return this.podTerminals.open(place, request);
  }

  terminals(place: Place): Promise<readonly TerminalRecord[]> {
    return this.podTerminals.list(place);
  }

  adoptTerminal(place: Place, sessionId: string): Promise<TerminalChannel> {
    return this.podTerminals.adopt(place, sessionId);
  }
}
