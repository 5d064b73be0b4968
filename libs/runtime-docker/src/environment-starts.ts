import { type EnvironmentSpec, type Phase } from '@devpocket/runtime';
import { type ContainerLogs } from './container-logs';
import { mainContainer, network, startupContainer, volume } from './container-options';
import { EngineError } from './engine-error';
import {
  type Container,
  type ContainerState,
  type ContainerSummary,
  hasBegun,
  type Network,
  type Volume,
} from './engine-objects';
import { type EngineSession } from './engine-session';
import { type ImagePulls } from './image-pulls';
import { incarnationOf, mainName, startupName, stateVolumeName, volumeName } from './names';
import { isAlive, isUnborn, mainsOf, startupOf, type StartSight, type Trouble } from './sight';
import { StartError, troubleOf } from './start-trouble';
import { lastOf, type LogLine } from '@devpocket/container-runtime';

/** What an engine says is wrong with it may pass. */
const TRIES = 3;
const AGAIN_MS = 300;
/** Startup commands may take as long as a start may. */
const LONGEST_STARTUP_MS = 3_600_000;
/** What is read of a log before its container goes. */
const KEEP_MS = 10_000;
const TRIM_EVERY_LINES = 50_000;
/** Progress, in percent, at which each part of a start begins. */
const AT = { queued: 0, pull: 5, pulled: 60, volume: 62, container: 65, startup: 70, started: 95 };

interface Start {
  readonly incarnation: number;
  readonly stop: AbortController;
  done: Promise<void>;
  phase: Phase;
  progress: number;
  failure: Trouble | null;
}

/**
 * Starts that are under way here. Each is a row of calls that may be cut off between any two: made again, by this process or another, it
 * finds what is there and goes on. Nothing of it is kept but what the engine shows.
 */
export class EnvironmentStarts {
  private readonly starts = new Map<string, Start>();
  /** Does the engine's storage hold volumes to a size? Null: it was not asked yet. */
  private limitsStorage: boolean | null = null;

  constructor(
    private readonly session: EngineSession,
    private readonly pulls: ImagePulls,
    private readonly logs: ContainerLogs,
  ) {
    session.startOf = (environmentId) => this.of(environmentId);
  }

  of(environmentId: string): StartSight | null {
    return this.starts.get(environmentId) ?? null;
  }

  /** @throws EngineError */
  async begin(spec: EnvironmentSpec): Promise<void> {
    const { environmentId, incarnation } = spec;
    const other = this.starts.get(environmentId);
    if (other && other.incarnation >= incarnation) return;
    if (other) await this.cancel(environmentId, other.incarnation);
    const containers = await this.session.containersOf(spec);
    if (mainsOf(containers).some((one) => incarnationOf(one) >= incarnation && !isUnborn(one))) return;
    // By the volume the rest is found again when this is cut off.
    const workspace = await this.makeVolumes(spec);
    if ((this.starts.get(environmentId)?.incarnation ?? 0) >= incarnation) return;
    const start: Start = {
      incarnation,
      stop: new AbortController(),
      done: Promise.resolve(),
      phase: 'queued',
      progress: AT.queued,
      failure: null,
    };
    this.starts.set(environmentId, start);
    start.done = this.run(spec, workspace, start);
    this.session.changed(environmentId);
  }

  /** Ends a start, or forgets one that was given up, of this incarnation or an older one. Resolves when nothing more comes of it. */
  async cancel(environmentId: string, incarnation: number): Promise<void> {
    const start = this.starts.get(environmentId);
    if (!start || start.incarnation > incarnation) return;
    start.stop.abort(new Error('The start was ended'));
    await start.done;
    if (this.starts.get(environmentId) === start) this.starts.delete(environmentId);
  }

  async cancelAll(): Promise<void> {
    await Promise.all([...this.starts].map(([environmentId, { incarnation }]) => this.cancel(environmentId, incarnation)));
  }

  /** Never rejects. */
  private async run(spec: EnvironmentSpec, workspace: Volume, start: Start): Promise<void> {
    const { environmentId } = spec;
    const { signal } = start.stop;
    const tell = (phase: Phase, progress: number): void => {
      const whole = Math.max(start.progress, Math.floor(progress));
      if (start.phase === phase && start.progress === whole) return;
      Object.assign(start, { phase, progress: whole });
      this.session.changed(environmentId);
    };
    for (let left = TRIES; ;) {
      try {
        await this.make(spec, workspace, signal, tell);
        break;
      } catch (error) {
        if (signal.aborted) return;
        const trouble = troubleOf(error);
        left -= 1;
        if (trouble?.reason === 'internal' && left > 0) {
          await this.session.clock.wait(AGAIN_MS, signal).catch(() => undefined);
          continue;
        }
        if (!trouble) break;
        start.failure = trouble;
        this.session.changed(environmentId);
        return;
      }
    }
    this.starts.delete(environmentId);
    this.session.changed(environmentId);
  }

  private async make(
    spec: EnvironmentSpec,
    workspace: Volume,
    signal: AbortSignal,
    tell: (phase: Phase, progress: number) => void,
  ): Promise<void> {
    const { engine, state } = this.session;
    const { image, resources } = spec;
    const { isPodman } = await this.session.identity();
    // Two incarnations must never write to one volume.
    await this.endOlder(spec, signal);
    if (!(await this.pulls.isPresent(image, signal))) {
      const onShare = (share: number): void => tell('pulling_image', AT.pull + (AT.pulled - AT.pull) * share);
      await this.pulls.pull(image, onShare, signal);
    }
    tell('creating_volume', AT.volume);
    await this.makeNetwork(spec, signal);
    const startup = await this.makeStartup(spec, signal);
    await state.prepare(startup);
    tell('starting_container', AT.container);
    const startupFailed = await this.runStartup(spec, startup, signal, tell);
    await this.clear(spec, startup, signal);
    const size = Number(workspace.Options?.size ?? 0);
    const notGrown =
      size > 0 && size < resources.storageBytes ? 'The volume could not grow: its size was fixed when it was made' : null;
    const body = mainContainer(spec, { startupFailed, notGrown, limitsStorage: size > 0, isPodman });
    const main = await this.create(spec, mainName(spec.environmentId, spec.incarnation), body, signal);
    signal.throwIfAborted();
    await engine.post(`/containers/${main}/start`, { signal });
  }

  /** @throws EngineError */
  private async makeVolumes(spec: EnvironmentSpec): Promise<Volume> {
    const { engine } = this.session;
    const make = async (name: string, size: number | null): Promise<Volume> => {
      const present = await this.session.volume(name);
      if (present) return present;
      try {
        return await engine.post<Volume>('/volumes/create', { body: volume(spec, name, size) });
      } catch (error) {
        // Somebody else was quicker.
        const made = await this.session.volume(name);
        if (made) return made;
        if (size === null || !(error instanceof EngineError) || error.status === 0) throw error;
        this.limitsStorage = false;
        return make(name, null);
      }
    };
    // Podman takes a size for an option of mount(8), and the volume cannot be mounted.
    if ((await this.session.identity()).isPodman) this.limitsStorage = false;
    await make(stateVolumeName(spec.environmentId), null);
    return make(volumeName(spec.environmentId), this.limitsStorage === false ? null : spec.resources.storageBytes);
  }

  private async endOlder(spec: EnvironmentSpec, signal: AbortSignal): Promise<void> {
    const { engine } = this.session;
    for (const one of mainsOf(await this.session.containersOf(spec))) {
      if (incarnationOf(one) >= spec.incarnation || !isAlive(one)) continue;
      await engine.post(`/containers/${one.Id}/kill`, { query: { signal: 'SIGKILL' }, signal }).catch(ignoreEnded);
      await engine.post(`/containers/${one.Id}/wait`, { query: { condition: 'not-running' }, signal }).catch(ignoreEnded);
    }
  }

  private async makeNetwork(spec: EnvironmentSpec, signal: AbortSignal): Promise<void> {
    const { engine } = this.session;
    const present = (): Promise<readonly Network[]> => this.session.networksOf(spec.environmentId, signal);
    if ((await present()).length === 0) {
      try {
        await engine.post('/networks/create', { body: network(spec), signal });
      } catch (error) {
        if ((await present()).length === 0) throw error;
      }
    }
    // Neither of two of one name can be named.
    const [, ...extra] = await present();
    for (const { Id } of extra) await engine.delete(`/networks/${Id}`, { signal });
  }

  /** The container of the startup commands; one that was made for another incarnation and never used is made anew. */
  private async makeStartup(spec: EnvironmentSpec, signal: AbortSignal): Promise<string> {
    const present = startupOf(await this.session.containersOf(spec));
    if (present && (!isUnborn(present) || incarnationOf(present) === spec.incarnation)) return present.Id;
    if (present) await this.session.engine.remove(present.Id, { signal });
    return this.create(
      spec,
      startupName(spec.environmentId),
      startupContainer(spec, (await this.session.identity()).isPodman),
      signal,
    );
  }

  /** @returns what went wrong with the startup commands, now or when they ran */
  private async runStartup(
    spec: EnvironmentSpec,
    container: string,
    signal: AbortSignal,
    tell: (phase: Phase, progress: number) => void,
  ): Promise<string | null> {
    if (spec.startupCommands.length === 0) return null;
    const { engine, state } = this.session;
    const path = `/containers/${container}`;
    const inspect = async (): Promise<ContainerState> => (await engine.get<Container>(`${path}/json`, { signal })).State;
    const before = await inspect();
    if (!before.Running) {
      const done = await state.startup(container);
      if (done) return done.failed;
    }
    tell('running_startup', AT.startup);
    if (!before.Running && !hasBegun(before)) await engine.post(`${path}/start`, { signal });
    const query = { condition: 'not-running' };
    await engine.post(`${path}/wait`, { query, signal, timeoutMs: LONGEST_STARTUP_MS });
    const after = await inspect();
    tell('running_startup', AT.started);
    if (after.OOMKilled && after.ExitCode !== 0) {
      const message = 'The startup commands used more memory than the limit';
      throw new StartError({ reason: 'out_of_memory', message, retryable: true });
    }
    if (after.ExitCode !== 0) return `The startup commands were cut off with code ${after.ExitCode}`;
    return (await state.startup(container))?.failed ?? null;
  }

  /** Removes what ran before, when the last of its log is kept. */
  private async clear(spec: EnvironmentSpec, startup: string, signal: AbortSignal): Promise<void> {
    const { engine, state } = this.session;
    for (const one of mainsOf(await this.session.containersOf(spec))) {
      if (incarnationOf(one) >= spec.incarnation) continue;
      // A log that cannot be read or kept stops nothing.
      await this.linesOf(one)
        .then((lines) => state.keepLog(startup, lines))
        .catch(() => undefined);
      await engine.remove(one.Id, { signal });
      this.session.forgetContainer(one.Id);
    }
  }

  private async linesOf(one: ContainerSummary): Promise<readonly LogLine[]> {
    let lines: LogLine[] = [];
    for await (const line of this.logs.container(one, {}, AbortSignal.timeout(KEEP_MS))) {
      lines.push(line);
      if (lines.length % TRIM_EVERY_LINES === 0) lines = [...lastOf(lines)];
    }
    return lines;
  }

  /** @returns the id of the container of that name, made now or before. @throws EngineError */
  private async create(spec: EnvironmentSpec, name: string, body: object, signal: AbortSignal): Promise<string> {
    try {
      const { Id } = await this.session.engine.post<{ readonly Id: string }>('/containers/create', {
        query: { name },
        body,
        signal,
      });
      return Id;
    } catch (error) {
      const present = (await this.session.containersOf(spec)).find(({ Names }) => Names.includes(`/${name}`));
      if (!present) throw error;
      return present.Id;
    }
  }
}

/** It has ended, or gone, by itself. */
function ignoreEnded(error: unknown): void {
  if (!(error instanceof EngineError) || (error.status !== 404 && error.status !== 409)) throw error;
}
