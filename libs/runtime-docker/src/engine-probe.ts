import { Engine } from './engine';
import { type EngineSettings } from './engine-address';
import { type Version } from './engine-objects';
import { identityOf } from './engine-identity';

/** Podman asks programs of its own for it, and takes seconds on a busy machine; where nothing listens is known at once. */
const PROBE_MS = 10_000;

export interface EngineSight {
  /** `Docker Engine` or `Podman`. */
  readonly name: string;
  readonly version: string;
  /** Of Docker's API, e.g. `1.41`. */
  readonly apiVersion: string;
  /** Do containers live on while the engine is away? Podman's always do. Null: it does not say. */
  readonly keepsContainers: boolean | null;
}

/** What answers there. @throws Error saying, in an operator's words, why nothing does */
export async function lookAtEngine(settings: EngineSettings, timeoutMs = PROBE_MS): Promise<EngineSight> {
  const engine = await Engine.open(settings);
  const version = await engine.get<Version>('/version', { timeoutMs });
  const { name, version: release, isPodman } = identityOf(version);
  const keepsContainers = isPodman || (await isLiveRestoring(engine, timeoutMs));
  return { name, version: release, apiVersion: version.ApiVersion, keepsContainers };
}

/** Null also behind a proxy that lets only those calls through that environments need. */
async function isLiveRestoring(engine: Engine, timeoutMs: number): Promise<boolean | null> {
  try {
    const { LiveRestoreEnabled } = await engine.get<{ readonly LiveRestoreEnabled?: boolean }>('/info', { timeoutMs });
    return LiveRestoreEnabled ?? null;
  } catch {
    return null;
  }
}
