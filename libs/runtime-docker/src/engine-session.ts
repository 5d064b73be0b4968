import { StorageMeter } from '@devpocket/container-runtime';
import { type Clock } from '@devpocket/kernel';
import { type Place, type Sighting } from '@devpocket/runtime';
import { ContainerList, type Listing } from './container-list';
import { type Engine } from './engine';
import { isAbsent, toRuntimeError } from './engine-error';
import { type EngineIdentity, identityOf } from './engine-identity';
import {
  type Container,
  type ContainerState,
  type ContainerSummary,
  type Network,
  type Version,
  type Volume,
} from './engine-objects';
import { filterOf, incarnationOf, isOf, volumeName, wasToldToEnd } from './names';
import { isAlive, isUnborn, mainsOf, sightOf, type StartSight, type Traces, type Trouble } from './sight';
import { VolumeState } from './volume-state';

/** A limit that the storage does not hold to is held to by counting. */
const COUNT_EVERY_MS = 60_000;

/** One engine as this process sees it: what it shows, and what only this process knows of what it did there. */
export class EngineSession {
  readonly state: VolumeState;
  readonly storage: StorageMeter;
  /** Containers that it is ending, and why it ended some, by id. */
  private readonly ending = new Set<string>();
  private readonly killed = new Map<string, Trouble>();
  /** The newest incarnation of each environment that was seen to run. */
  private readonly ran = new Map<string, number>();
  private readonly listeners = new Set<(environmentId: string) => void>();
  private readonly list: ContainerList;
  private known: EngineIdentity | null = null;
  /** What is under way of starts here. */
  startOf: (environmentId: string) => StartSight | null = () => null;

  constructor(
    readonly engine: Engine,
    readonly install: string,
    readonly clock: Clock,
  ) {
    this.list = new ContainerList(engine, install, clock);
    this.state = new VolumeState(this);
    this.storage = new StorageMeter(clock, COUNT_EVERY_MS);
  }

  /** @throws EngineError */
  async identity(): Promise<EngineIdentity> {
    this.known ??= identityOf(await this.engine.get<Version>('/version'));
    return this.known;
  }

  /** @throws EngineError */
  containersOf({ environmentId }: Pick<Place, 'environmentId'>): Promise<readonly ContainerSummary[]> {
    return this.containers({ environmentId });
  }

  /** Of all environments of this installation, or of one. @throws EngineError */
  containers(listing: Listing = {}): Promise<readonly ContainerSummary[]> {
    return this.list.read(listing);
  }

  /**
   * Of an environment, oldest first: of two creates at once, the first of which nobody heard the answer of, an engine makes two of one name.
   * @throws EngineError
   */
  async networksOf(environmentId: string, signal?: AbortSignal): Promise<readonly Network[]> {
    const found = await this.networks(signal, environmentId);
    return [...found].sort((a, b) => a.Created.localeCompare(b.Created) || a.Id.localeCompare(b.Id));
  }

  /** Of all environments of this installation, or of one. @throws EngineError */
  async networks(signal?: AbortSignal, environmentId?: string): Promise<readonly Network[]> {
    const query = { filters: filterOf(this.install, environmentId) };
    const found = await this.engine.get<readonly Network[]>('/networks', { query, ...(signal ? { signal } : {}) });
    return found.filter((one) => isOf(one, this.install, environmentId));
  }

  /** @throws RuntimeError `unreachable` */
  async see(place: Place): Promise<{ readonly sighting: Sighting; readonly traces: Traces }> {
    const { environmentId } = place;
    try {
      const { isPodman } = await this.identity();
      const traces = await this.traces(environmentId);
      const main = mainsOf(traces.containers).find((one) => !isUnborn(one));
      if (main) this.ran.set(environmentId, Math.max(incarnationOf(main), this.ran.get(environmentId) ?? 0));
      const { ending, killed } = this;
      const start = this.startOf(environmentId);
      const sighting = sightOf(traces, { start, ending, killed, ran: this.ran.get(environmentId) ?? 0, isPodman });
      return { sighting, traces };
    } catch (error) {
      const told = toRuntimeError(error);
      throw told.kind === 'unreachable' ? told : toRuntimeError(new Error(told.message));
    }
  }

  /** What it knows goes with what was there. */
  forget(environmentId: string): void {
    this.ran.delete(environmentId);
    this.storage.forget(environmentId);
  }

  /** Marks a container for as long as it is being ended. */
  during(container: string, environmentId: string, work: Promise<unknown>): void {
    this.ending.add(container);
    const over = (): void => {
      this.ending.delete(container);
      this.changed(environmentId);
    };
    work.then(over, over);
    this.changed(environmentId);
  }

  isEnding(container: string): boolean {
    return this.ending.has(container);
  }

  noteKilled(container: string, trouble: Trouble): void {
    this.killed.set(container, trouble);
  }

  forgetContainer(container: string): void {
    this.killed.delete(container);
  }

  isOutOfMemory({ Id, Name, State }: Container): boolean {
    if (this.ending.has(Id) || this.killed.has(Id)) return false;
    const guessed = this.known?.isPodman === true && !wasToldToEnd({ Names: [Name] });
    return State.ExitCode === 137 && (State.OOMKilled || guessed);
  }

  subscribe(listener: (environmentId: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(environmentId: string): void {
    for (const listener of this.listeners) listener(environmentId);
  }

  nextChange({ environmentId }: Place, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        unsubscribe();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const unsubscribe = this.subscribe((id) => {
        if (id === environmentId) done();
      });
      signal.addEventListener('abort', done);
    });
  }

  private async traces(environmentId: string): Promise<Traces> {
    const containers = await this.containers({ environmentId });
    const main = mainsOf(containers).find((one) => !isUnborn(one));
    const crashed = main && !isAlive(main) && !wasToldToEnd(main);
    return {
      containers,
      ended: crashed ? await this.stateOf(main.Id) : null,
      volume: containers.length > 0 || (await this.volume(volumeName(environmentId))) !== null,
    };
  }

  private async stateOf(container: string): Promise<ContainerState | null> {
    try {
      return (await this.engine.get<Container>(`/containers/${container}/json`)).State;
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }

  /** Null where there is none of that name. @throws EngineError */
  async volume(name: string): Promise<Volume | null> {
    try {
      return await this.engine.get<Volume>(`/volumes/${name}`);
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }
}
