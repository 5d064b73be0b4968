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
  type TerminalExit,
  type TerminalRecord,
  type TerminalRequest,
  type Usage,
} from '@devpocket/runtime';
import { toRuntimeError } from './api-error';
import { type ClusterSession } from './cluster-session';
import { ClusterSessions, NO_CLUSTER } from './cluster-sessions';
import { EnvironmentActs } from './environment-acts';
import { type ExecEnd, ExecStream, execute } from './exec-stream';
import { ExecTerminal } from './exec-terminal';
import { type KubeObject, type Pod } from './kube-objects';
import { CONTAINER, heldOf, incarnationOf } from './names';
import { HANG_UP, TERMINAL_PROCESS } from './pod-scripts';
import { mainOf, sightOf } from './sight';

export interface KubernetesRuntimeOptions {
  /** The mark of this installation, by which its objects are told from those of others in the same cluster. */
  readonly install: () => Promise<string>;
  readonly clusters: ClusterDirectory;
  readonly clock: Clock;
  readonly log: { info(message: string): void; warn(message: string): void; error(message: string): void };
}

const HANG_UP_MS = 10_000;
/** A shell's code after SIGHUP, SIGKILL and SIGTERM. */
const ENDED_FROM_OUTSIDE = new Set([129, 137, 143]);
/** How long the word of a container's end may take, and how often it is looked for in what is held here. */
const WORD_MS = 3_000;
const ASK_MS = 50;

/** Environments as pods with volumes in any number of Kubernetes clusters. */
export class KubernetesDriver extends RuntimeDriver {
  readonly kind = 'kubernetes';
  /** A shell lives as long as its exec connection. */
  readonly durableTerminals = false;
  private readonly sessions: ClusterSessions;
  private readonly acts: EnvironmentActs;
  private readonly terminalsOpen = new Set<ExecTerminal>();

  constructor(private readonly options: KubernetesRuntimeOptions) {
    super();
    const { clusters, install, clock, log } = options;
    this.sessions = new ClusterSessions(clusters, install, clock, log);
    this.acts = new EnvironmentActs(clock);
  }

  /** Does not wait for clusters: one that does not answer now may answer later. */
  async open(): Promise<RuntimeReport> {
    const sessions = await this.sessions.all();
    const names = sessions.map(({ connection }) => connection.name);
    const warnings =
      names.length > 0 ? [] : ['No cluster is registered yet, so no environment can be created: devpocket cluster add'];
    const summary = `environments are pods of ${names.length === 1 ? 'the cluster' : `${names.length} clusters`}${names.length > 0 ? `: ${names.join(', ')}` : ''}`;
    return { kind: 'kubernetes', summary, warnings, multiUser: true, exposable: true };
  }

  /** Pods go on without a server; shells do not. */
  async close(_options: { readonly keepTerminals: boolean }): Promise<void> {
    for (const terminal of this.terminalsOpen) terminal.detach();
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

  /**
   * What the watches hold; of a cluster that does not answer, nothing. Namespaces that nothing is in go by the way, with what somebody
   * else left behind in them.
   */
  async list(): Promise<readonly Held[]> {
    const held = new Map<string, Held>();
    for (const session of await this.sessions.all()) {
      const { clusterId, name } = session.connection;
      try {
        await session.untilFresh();
        const objects: readonly KubeObject[] = [...session.claims.all(), ...session.pods.all()];
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

  async openTerminal(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    const session = await this.sessions.of(place);
    const pod = await this.runningPod(session, place);
    const at = { namespace: pod.metadata?.namespace ?? '', pod: pod.metadata?.name ?? '', container: CONTAINER };
    const command = ['/bin/sh', '-c', TERMINAL_PROCESS, 'devpocket', String(request.cols), String(request.rows)];
    const stream = await ExecStream.open(session.api, { ...at, command, tty: true });
    const hangUp = async (pid: number): Promise<void> => {
      await execute(session.api, { ...at, command: ['/bin/sh', '-c', HANG_UP, 'devpocket', String(pid)] }, HANG_UP_MS);
    };
    const terminal = await ExecTerminal.begin(stream, request, {
      createdAt: this.options.clock.now(),
      hangUp,
      explain: (end) => this.explain(session, place, pod, end),
      touch: () => session.storage.touch(place.environmentId),
    });
    this.terminalsOpen.add(terminal);
    void terminal.ended.then(() => this.terminalsOpen.delete(terminal));
    return terminal;
  }

  terminals(_place: Place): Promise<readonly TerminalRecord[]> {
    return Promise.resolve([]);
  }

  adoptTerminal(_place: Place, _sessionId: string): Promise<TerminalChannel> {
    return Promise.reject(new RuntimeError('gone', 'There is no such terminal'));
  }

  private async runningPod(session: ClusterSession, place: Place): Promise<Pod> {
    const traces = await session.traces(place);
    const sighting = sightOf(traces, this.options.clock.now());
    const pod = traces.pods.find((one) => sighting.seen === 'running' && incarnationOf(one) === sighting.incarnation);
    if (!pod) throw new RuntimeError('gone', 'The environment does not run');
    return pod;
  }

  private async explain(session: ClusterSession, place: Place, pod: Pod, end: ExecEnd): Promise<TerminalExit> {
    const code = end.kind === 'ended' ? end.code : null;
    // What ends a container or a pod ends its shells by these; the word of it comes a moment later.
    const suspect = code === null || ENDED_FROM_OUTSIDE.has(code);
    for (let waited = 0; ; waited += ASK_MS) {
      const traces = await session.traces(place).catch(() => null);
      if (!traces) return { code, signal: null, reason: 'killed' };
      const now = traces.pods.find(({ metadata }) => metadata?.uid === pod.metadata?.uid);
      const terminated = now && mainOf(now)?.state?.terminated;
      if (terminated?.reason === 'OOMKilled') return { code: null, signal: 'SIGKILL', reason: 'out_of_memory' };
      if (!now || now.metadata?.deletionTimestamp !== undefined || terminated)
        return { code: null, signal: 'SIGHUP', reason: 'environment_stopped' };
      if (!suspect || waited >= WORD_MS) break;
      await this.options.clock.wait(ASK_MS);
    }
    return code === null ? { code, signal: 'SIGHUP', reason: 'killed' } : { code, signal: null, reason: 'exited' };
  }
}
