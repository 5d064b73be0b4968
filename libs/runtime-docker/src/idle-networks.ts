import { type ContainerSummary } from './engine-objects';
import { type EngineSession } from './engine-session';
import { heldOf } from './names';
import { isAlive } from './sight';

/** A start makes the network some seconds before anything runs in it. */
const IDLE_MS = 600_000;

/**
 * Removes networks of environments that do not run: a server that was killed, or could not reach the engine, did not. Networks are few,
 * and whoever starts makes another.
 */
export async function removeIdleNetworks(
  session: EngineSession,
  containers: readonly ContainerSummary[],
  signal: AbortSignal,
): Promise<void> {
  const alive = new Set(containers.filter(isAlive).map((one) => heldOf(one)?.environmentId));
  for (const network of await session.networks(signal)) {
    const environmentId = heldOf(network)?.environmentId ?? '';
    const age = session.clock.millis() - Date.parse(network.Created);
    if (alive.has(environmentId) || session.startOf(environmentId) !== null || !(age > IDLE_MS)) continue;
    await session.engine.delete(`/networks/${network.Id}`, { signal }).catch(() => undefined); // something is in it after all
  }
}
