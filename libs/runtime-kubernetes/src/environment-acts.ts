import { type Clock } from '@devpocket/kernel';
import { type EnvironmentSpec, type Place, RuntimeError } from '@devpocket/runtime';
import { pathOf } from './api-client';
import { ApiError, isTransient, toRuntimeError } from './api-error';
import { type ClusterSession } from './cluster-session';
import { type Claim, type KubeObject, type Manifest, type Pod } from './kube-objects';
import { claim, hasVariables, pod, service, variables } from './manifests';
import { baseName, incarnationOf, podName, selectorOf, STARTUP_DONE } from './names';
import { isAbandoned, startupOf } from './sight';

/** Quotas are counted, and namespaces and volumes go, within this. */
const PATIENCE_MS = 20_000;
const AGAIN_MS = 100;
/** What the watches bring is looked for so often. */
const LOOK_MS = 20;
/** A volume that takes longer is waited for by its pod. */
export const BINDING_MS = 3_000;
/** A pod that is killed still gets this, so that the API forgets it only when the kubelet has ended it. */
const KILL_SECONDS = 1;
/** What was asked for a moment ago need not be asked for again. */
const ASKED_MS = 10_000;

/** What changes a cluster: each act is a few writes that may be cut off between any two and made again. */
export class EnvironmentActs {
  private readonly destroyed = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** @throws RuntimeError */
  async start(session: ClusterSession, spec: EnvironmentSpec): Promise<void> {
    this.destroyed.delete(spec.environmentId);
    await session.untilFresh();
    const pods = session.pods.of(spec.environmentId);
    if (pods.some((one) => incarnationOf(one) >= spec.incarnation)) return;
    try {
      // Two incarnations must never write to one volume.
      await this.endOlder(session, spec);
      await this.prepare(session, spec);
      try {
        await this.make(session, spec);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
        // The namespace went behind our back.
        session.namespaces.forget(session.namespaceOf(spec));
        await this.prepare(session, spec);
        await this.make(session, spec);
      }
    } catch (error) {
      throw refusal(error);
    }
  }

  /** @throws RuntimeError */
  async stop(session: ClusterSession, place: Place, target: Pod, graceSeconds: number, kill: boolean): Promise<void> {
    const { name = '', namespace = '', uid, deletionTimestamp } = target.metadata ?? {};
    const now = this.clock.now();
    if (deletionTimestamp !== undefined && !kill) return;
    const abandoned = isAbandoned(target, now);
    if (deletionTimestamp !== undefined && !abandoned && (target.metadata?.deletionGracePeriodSeconds ?? 0) <= KILL_SECONDS)
      return;
    const grace = kill ? (abandoned ? 0 : KILL_SECONDS) : Math.max(KILL_SECONDS, graceSeconds);
    await this.noteStartup(session, place, target);
    const saveRest = deletionTimestamp === undefined ? await session.saver.before(place, target) : null;
    try {
      const left = await session.api.delete<Pod>(pathOf('Pod', 'v1', namespace, name), {
        graceSeconds: grace,
        ...(uid === undefined ? {} : { uid }),
      });
      if (left && grace > 0) session.pods.take(left);
      else session.pods.drop(target);
      saveRest?.();
    } catch (error) {
      // Another object bears the name by now: this one is gone.
      if (error instanceof ApiError && error.status === 409) session.pods.drop(target);
      else throw toRuntimeError(error);
    }
  }

  /** @throws RuntimeError */
  async destroy(session: ClusterSession, place: Place): Promise<void> {
    const now = this.clock.millis();
    if (now - (this.destroyed.get(place.environmentId) ?? -Infinity) < ASKED_MS) return;
    const { api, namespaces } = session;
    const namespace = session.namespaceOf(place);
    const name = baseName(place.environmentId);
    const query = { labelSelector: selectorOf(place, session.install) };
    const abandoned = session.pods.of(place.environmentId).some((one) => isAbandoned(one, this.clock.now()));
    try {
      await Promise.all([
        api.delete(pathOf('Pod', 'v1', namespace), { query, graceSeconds: abandoned ? 0 : KILL_SECONDS }),
        api.delete(pathOf('Secret', 'v1', namespace), { query }),
        api.delete(pathOf('Service', 'v1', namespace, name)),
      ]);
      // The claim goes last: by it the rest is found again when this is cut off, the namespace that goes with it included.
      const isLast = await namespaces.isLast(place);
      if (isLast) await namespaces.remove(namespace);
      const left = await api.delete<Claim>(pathOf('PersistentVolumeClaim', 'v1', namespace, name));
      if (left) session.claims.take(left);
      // The others may have gone at the same time; who asks last sees them go.
      if (!isLast && (await namespaces.isEmptied(place))) await namespaces.remove(namespace);
      this.remember(place.environmentId, now);
    } catch (error) {
      throw toRuntimeError(error);
    }
  }

  private async noteStartup(session: ClusterSession, place: Place, target: Pod): Promise<void> {
    const ran = startupOf(target)?.state?.terminated;
    const claimed = session.claims.of(place.environmentId)[0];
    if (ran?.exitCode !== 0 || !claimed || claimed.metadata?.annotations?.[STARTUP_DONE] !== undefined) return;
    const path = pathOf('PersistentVolumeClaim', 'v1', session.namespaceOf(place), baseName(place.environmentId));
    // The volume knows too: the next start only takes a moment longer.
    const noted = await session.api.annotate<Claim>(path, { [STARTUP_DONE]: ran.message ?? '' }).catch(() => null);
    if (noted) session.claims.take(noted);
  }

  private remember(environmentId: string, now: number): void {
    this.destroyed.set(environmentId, now);
    for (const [id, at] of this.destroyed) if (at < now - ASKED_MS) this.destroyed.delete(id);
  }

  /** A namespace on its way out still takes changes of its own; what belongs in it is refused, then not found. */
  private prepare(session: ClusterSession, spec: EnvironmentSpec): Promise<void> {
    const passes = (error: unknown): boolean => isTransient(error) || (error instanceof ApiError && error.status === 404);
    return this.patiently(() => session.namespaces.prepare(spec), passes);
  }

  /** The claim comes first: by it the rest is found again when this is cut off. */
  private async make(session: ClusterSession, spec: EnvironmentSpec): Promise<void> {
    const { api, install, connection } = session;
    session.claims.take(await this.applyClaim(session, spec));
    await Promise.all([
      ...(hasVariables(spec) ? [this.apply(session, variables(spec, install))] : []),
      ...(spec.defaultPort === null ? [] : [this.apply(session, service(spec, install, spec.defaultPort))]),
      // A pod that comes before its volume is put back by the scheduler, for a second and more.
      this.until(() => !session.isBinding(spec), BINDING_MS),
    ]);
    const hasStarted = session.claims
      .of(spec.environmentId)
      .some(({ metadata }) => metadata?.annotations?.[STARTUP_DONE] !== undefined);
    const manifest = pod(hasStarted ? { ...spec, startupCommands: [] } : spec, install, connection.options);
    try {
      session.pods.take(await this.patiently(() => api.apply<Pod>(manifest)));
    } catch (error) {
      // It is there already, made from a spec that has changed since: an incarnation is made once.
      if (!(error instanceof ApiError) || error.status !== 422) throw error;
      const path = pathOf('Pod', 'v1', session.namespaceOf(spec), podName(spec.environmentId, spec.incarnation));
      // Only "it is not there" makes the refusal final: an API that does not answer says nothing of the pod.
      const made = await api.get<Pod>(path).catch((failure: unknown) => {
        if (failure instanceof ApiError && failure.status === 404) return null;
        throw failure;
      });
      if (!made) throw error;
      session.pods.take(made);
    }
  }

  private async applyClaim(session: ClusterSession, spec: EnvironmentSpec): Promise<Claim> {
    const { api, install, connection } = session;
    const existing = await this.claimOf(session, spec);
    const apply = (notGrown: string | null): Promise<Claim> =>
      this.patiently(() => api.apply<Claim>(claim(spec, install, connection.options, existing, notGrown)));
    try {
      return await apply(null);
    } catch (error) {
      const refused = error instanceof ApiError && (error.status === 403 || error.status === 422);
      if (!existing || !refused) throw error;
      // The class cannot grow volumes (or the quota is full): it starts with the volume that it has, says so, and the next start asks again.
      return apply(error.message);
    }
  }

  /** The claim as it stands; one that is on its way out is waited for. */
  private async claimOf(session: ClusterSession, spec: EnvironmentSpec): Promise<Claim | null> {
    const present = (): Claim | null => session.claims.of(spec.environmentId)[0] ?? null;
    const going = (): boolean => present()?.metadata?.deletionTimestamp !== undefined;
    if (!(await this.until(() => !going())))
      throw new RuntimeError('unreachable', 'The volume that was there before is still being removed');
    return present();
  }

  private async endOlder(session: ClusterSession, spec: EnvironmentSpec): Promise<void> {
    const older = (): readonly Pod[] => session.pods.of(spec.environmentId);
    for (const one of older()) await this.stop(session, spec, one, 0, true);
    if (!(await this.until(() => older().length === 0)))
      throw new RuntimeError('unreachable', 'The incarnation before this one is still ending');
  }

  private apply(session: ClusterSession, manifest: Manifest): Promise<KubeObject> {
    return this.patiently(() => session.api.apply(manifest));
  }

  private async until(done: () => boolean, patienceMs = PATIENCE_MS): Promise<boolean> {
    for (let waited = 0; !done(); waited += LOOK_MS) {
      if (waited >= patienceMs) return false;
      await this.clock.wait(LOOK_MS);
    }
    return true;
  }

  /** Makes a call again that was refused for what passes by itself. */
  private async patiently<T>(call: () => Promise<T>, passes = isTransient): Promise<T> {
    const end = this.clock.millis() + PATIENCE_MS;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!passes(error) || this.clock.millis() >= end) throw error;
        await this.clock.wait(AGAIN_MS);
      }
    }
  }
}

/** A start that is refused is given up by whoever asked for it; an object that is missing is not the environment. */
function refusal(error: unknown): RuntimeError {
  const told = toRuntimeError(error);
  return told.kind === 'gone' ? new RuntimeError('unreachable', told.message) : told;
}
