import { LABEL, slug } from '@devpocket/container-runtime';
import { type Held, type Place } from '@devpocket/runtime';
import { type KubeObject } from './kube-objects';

export { baseName, incarnationName as podName, LABEL, labelsOf } from '@devpocket/container-runtime';

/**
 * On the volume's claim when the startup commands have run, with what went wrong or nothing: later pods need no container for them.
 * The volume itself knows too, for when nobody was there to note it.
 */
export const STARTUP_DONE = 'devpocket.io/startup';

/** On the claim of a volume that was refused to grow: why. */
export const NOT_GROWN = 'devpocket.io/not-grown';

/** The container that shells run in, and the one that runs the startup commands before it. */
export const CONTAINER = 'environment';
export const STARTUP_CONTAINER = 'startup';

/** A namespace per user and installation: at most 63 characters of DNS label. */
export function namespaceOf(install: string, userId: string): string {
  return `dp-${slug(install)}-${slug(userId)}`;
}

export function environmentOf(object: KubeObject): string | null {
  return object.metadata?.labels?.[LABEL.environment] ?? null;
}

/** Of a pod its label, of a claim its annotation; 0 where there is none. */
export function incarnationOf(object: KubeObject): number {
  const { labels, annotations } = object.metadata ?? {};
  return Number(annotations?.[LABEL.incarnation] ?? labels?.[LABEL.incarnation] ?? 0) || 0;
}

export function selectorOf(place: Pick<Place, 'environmentId'>, install: string): string {
  return `${LABEL.install}=${install},${LABEL.environment}=${place.environmentId}`;
}

export function heldOf(object: KubeObject, clusterId: string): Held | null {
  const labels = object.metadata?.labels ?? {};
  const environmentId = labels[LABEL.environment];
  if (environmentId === undefined) return null;
  return { environmentId, userId: labels[LABEL.user] ?? '', clusterId, install: labels[LABEL.install] ?? null };
}
