import { type Clock } from '@devpocket/kernel';
import {
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
import { ContainerLogs } from './container-logs';
import { ContainerTerminals } from './container-terminals';
import { Engine } from './engine';
import { type EngineSettings } from './engine-address';
import { toRuntimeError } from './engine-error';
import { EngineEvents } from './engine-events';
import { type Network, type Volume } from './engine-objects';
import { EngineSession } from './engine-session';
import { EnvironmentActs } from './environment-acts';
import { EnvironmentStarts } from './environment-starts';
import { ImagePulls } from './image-pulls';
import { filterOf, heldOf, isOf } from './names';
import { reportOf } from './report';
import { RegistryLogins } from './registry-logins';
import { UsageReader } from './usage-reader';

export interface DockerRuntimeOptions {
  readonly engine: EngineSettings;
  /** Folder with the `config.json` that `docker login` writes; null: images are fetched in nobody's name. */
  readonly loginFolder: string | null;
  /** The mark of this installation, by which its objects are told from those of others on the same engine. */
  readonly install: () => Promise<string>;
  readonly clock: Clock;
  /** Output of a shell that is kept beside it in the container. */
  readonly terminalBufferBytes: number;
  /** Why it is this driver, for the start-up line. */
  readonly chosen: string;
}

/** What an opened driver works with. */
interface Parts {
  readonly session: EngineSession;
  readonly starts: EnvironmentStarts;
  readonly acts: EnvironmentActs;
  readonly logs: ContainerLogs;
  readonly terminals: ContainerTerminals;
  readonly usage: UsageReader;
  readonly events: EngineEvents;
}

const CHECK_MS = 5_000;

/** Environments as containers with volumes on one engine that speaks Docker's API: Docker's own, or Podman. */
export class DockerDriver extends RuntimeDriver {
  readonly kind = 'docker';
  readonly durableTerminals = true;
  private opened: Parts | null = null;
  private readonly listeners = new Set<(environmentId: string) => void>();

  constructor(private readonly options: DockerRuntimeOptions) {
    super();
  }

  /** Does not wait for the engine: one that does not answer now may answer later. */
  async open(): Promise<RuntimeReport> {
    const { options } = this;
    const engine = await Engine.open(options.engine);
    const session = new EngineSession(engine, await options.install(), options.clock);
    const logs = new ContainerLogs(session, options.clock);
    const starts = new EnvironmentStarts(session, new ImagePulls(engine, new RegistryLogins(options.loginFolder)), logs);
    const acts = new EnvironmentActs(session, starts);
    const terminals = new ContainerTerminals(session, options.clock, options.terminalBufferBytes);
    const usage = new UsageReader(session, (container, trouble) => acts.endFor(container, trouble));
    const events = new EngineEvents(session, options.clock);
    this.opened = { session, starts, acts, logs, terminals, usage, events };
    session.subscribe((environmentId) => {
      for (const listener of this.listeners) listener(environmentId);
    });
    events.start();
    return reportOf(session, options);
  }

  /** Containers and their shells go on without a server. */
  async close(_options: { readonly keepTerminals: boolean }): Promise<void> {
    if (!this.opened) return;
    const { terminals, events, starts } = this.opened;
    terminals.detachAll();
    await Promise.all([events.stop(), starts.cancelAll()]);
  }

  async check(signal: AbortSignal): Promise<void> {
    await told(this.parts.session.engine.get('/_ping', { signal, timeoutMs: CHECK_MS }));
  }

  async look(place: Place): Promise<Sighting> {
    return (await this.parts.session.see(place)).sighting;
  }

  override onChange(listener: (environmentId: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async start(spec: EnvironmentSpec): Promise<void> {
    await told(this.parts.starts.begin(spec));
  }

  async stop(
    place: Place,
    options: { readonly incarnation: number; readonly graceMs: number; readonly kill: boolean },
  ): Promise<void> {
    await told(this.parts.acts.stop(place, options));
  }

  async destroy(place: Place): Promise<void> {
    await told(this.parts.acts.destroy(place));
  }

  async list(): Promise<readonly Held[]> {
    const { engine, install } = this.parts.session;
    const query = { filters: filterOf(install) };
    const [containers, { Volumes }, networks] = await told(
      Promise.all([
        this.parts.session.containers(),
        engine.get<{ readonly Volumes: readonly Volume[] | null }>('/volumes', { query }),
        engine.get<readonly Network[]>('/networks', { query }),
      ]),
    );
    const own = [...containers, ...(Volumes ?? []), ...networks].filter((object) => isOf(object, install));
    return [...new Map(own.flatMap((object) => heldOf(object) ?? []).map((one) => [one.environmentId, one])).values()];
  }

  usage(places: readonly Place[]): Promise<ReadonlyMap<string, Usage>> {
    return this.parts.usage.read(places);
  }

  async *logs(place: Place, query: LogQuery, signal: AbortSignal): AsyncIterable<LogEvent> {
    yield* this.parts.logs.read(place, query, signal);
  }

  openTerminal(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    return this.parts.terminals.open(place, request);
  }

  terminals(place: Place): Promise<readonly TerminalRecord[]> {
    return this.parts.terminals.list(place);
  }

  adoptTerminal(place: Place, sessionId: string): Promise<TerminalChannel> {
    return this.parts.terminals.adopt(place, sessionId);
  }

  private get parts(): Parts {
    if (!this.opened) throw new RuntimeError('unreachable', 'The driver is not open');
    return this.opened;
  }
}

/** What is missing is not the environment: of that alone `gone` is said. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const failure = toRuntimeError(error);
    throw failure.kind === 'gone' ? new RuntimeError('unreachable', failure.message) : failure;
  }
}
