import { type Place } from '@devpocket/runtime';
import { EngineError, isAbsent } from './engine-error';
import { type ContainerSummary } from './engine-objects';
import { type EngineSession } from './engine-session';
import { type EnvironmentStarts } from './environment-starts';
import { endedName, incarnationOf, stateVolumeName, volumeName, wasToldToEnd } from './names';
import { isAlive, isUnborn, mainsOf, startupOf, type Trouble } from './sight';

/** Beyond the grace, for the engine's answer. */
const STOP_MS = 30_000;

export interface Stop {
  readonly incarnation: number;
  readonly graceMs: number;
  readonly kill: boolean;
}

/** What ends and removes: each act is a few calls that may be cut off between any two and made again. */
export class EnvironmentActs {
  constructor(
    private readonly session: EngineSession,
    private readonly starts: EnvironmentStarts,
  ) {}

  /** @throws EngineError */
  async stop(place: Place, stop: Stop): Promise<void> {
    await this.starts.cancel(place.environmentId, stop.incarnation);
    const containers = await this.session.containersOf(place);
    const startup = startupOf(containers);
    if (startup && isAlive(startup) && incarnationOf(startup) <= stop.incarnation) await this.kill(startup);
    const mains = mainsOf(containers).filter((one) => incarnationOf(one) <= stop.incarnation);
    for (const one of mains) await this.end(place, one, stop);
    // Networks are few: an engine has addresses for some thirty, unless it is told otherwise.
    if (mains.length === mainsOf(containers).length && !mains.some(isAlive)) await this.removeNetwork(place);
  }

  /** Removes containers, network and volumes; the volume that the rest is found by goes last. @throws EngineError */
  async destroy(place: Place): Promise<void> {
    const { engine } = this.session;
    const { environmentId } = place;
    await this.starts.cancel(environmentId, Infinity);
    for (const { Id } of await this.session.containersOf(place)) {
      const removed = engine.remove(Id);
      this.session.during(Id, environmentId, removed);
      await removed;
      this.session.forgetContainer(Id);
    }
    await this.removeNetwork(place);
    await engine.delete(`/volumes/${stateVolumeName(environmentId)}`);
    await engine.delete(`/volumes/${volumeName(environmentId)}`);
    this.session.forget(environmentId);
    this.session.changed(environmentId);
  }

  /** Ends one that must not go on, for a reason that is then seen. @throws EngineError */
  async endFor(one: ContainerSummary, trouble: Trouble): Promise<void> {
    this.session.noteKilled(one.Id, trouble);
    await this.kill(one);
  }

  private async end(place: Place, one: ContainerSummary, { graceMs, kill }: Stop): Promise<void> {
    const { engine } = this.session;
    const { environmentId } = place;
    if (isUnborn(one)) return engine.remove(one.Id);
    // First, so that its end is never taken for a crash.
    if (!wasToldToEnd(one)) {
      const query = { name: endedName(environmentId, incarnationOf(one)) };
      await engine.post(`/containers/${one.Id}/rename`, { query }).catch((error: unknown) => {
        if (!isAbsent(error)) throw error;
      });
      this.session.changed(environmentId);
    }
    if (!isAlive(one)) return;
    if (kill)
      return this.session.during(
        one.Id,
        environmentId,
        this.kill(one).then(() => this.whenEnded(place, one)),
      );
    if (this.session.isEnding(one.Id)) return;
    // The engine sends SIGTERM, and SIGKILL after the grace, whether or not anybody waits for it.
    const seconds = Math.ceil(graceMs / 1000);
    const stopped = engine.post(`/containers/${one.Id}/stop`, { query: { t: seconds }, timeoutMs: graceMs + STOP_MS });
    this.session.during(
      one.Id,
      environmentId,
      stopped.then(() => this.removeNetwork(place)),
    );
  }

  private async whenEnded(place: Place, { Id }: ContainerSummary): Promise<void> {
    await this.session.engine.post(`/containers/${Id}/wait`, { query: { condition: 'not-running' }, timeoutMs: STOP_MS });
    await this.removeNetwork(place);
  }

  private async kill({ Id }: ContainerSummary): Promise<void> {
    try {
      await this.session.engine.post(`/containers/${Id}/kill`, { query: { signal: 'SIGKILL' } });
    } catch (error) {
      // It has ended by itself.
      if (
        !(error instanceof EngineError) ||
        (error.status !== 404 && error.status !== 409 && !/not running/i.test(error.message))
      )
        throw error;
    }
  }

  /** With whatever somebody else put into it cut off. A network that is in use again stays. @throws EngineError status 0 */
  private async removeNetwork({ environmentId }: Pick<Place, 'environmentId'>): Promise<void> {
    const { engine } = this.session;
    if (this.starts.of(environmentId)?.failure === null) return;
    if ((await this.session.containersOf({ environmentId })).some(isAlive)) return;
    for (const { Id } of await this.session.networksOf(environmentId)) {
      const path = `/networks/${Id}`;
      try {
        await engine.delete(path);
      } catch (error) {
        if (!(error instanceof EngineError) || error.status === 0) throw error;
        const { Containers = {} } = await engine.get<{ readonly Containers?: Readonly<Record<string, unknown>> }>(path);
        for (const Container of Object.keys(Containers ?? {}))
          await engine.post(`${path}/disconnect`, { body: { Container, Force: true } }).catch(() => undefined); // it has left by itself
        await engine.delete(path);
      }
    }
  }
}
