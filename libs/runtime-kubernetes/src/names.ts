import { type EnvironmentSpec, type Held, type Place } from '@devpocket/runtime';
import { createHash } from 'node:crypto';
import { type KubeObject } from './kube-objects';

export const LABEL = {
  environment: 'devpocket.io/env',
  install: 'devpocket.io/install',
  user: 'devpocket.io/user',
  incarnation: 'devpocket.io/incarnation',
} as const;

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

/** Ids are taken as they stand where they can be; anything else is hashed, never shortened into another's name. */
function slug(id: string): string {
  return /^[a-z0-9]{1,24}$/.test(id) ? id : `x${createHash('sha256').update(id).digest('hex').slice(0, 23)}`;
}

export function baseName(environmentId: string): string {
  return `env-${slug(environmentId)}`;
}

/** A name of its own for each incarnation, so that what is meant for one never reaches the next. */
export function podName(environmentId: string, incarnation: number): string {
  return `${baseName(environmentId)}-${incarnation}`;
}

export function labelsOf(spec: Pick<EnvironmentSpec, 'environmentId' | 'userId'>, install: string): Record<string, string> {
  return {
    [LABEL.environment]: spec.environmentId,
    [LABEL.install]: install,
    [LABEL.user]: spec.userId,
    'app.kubernetes.io/managed-by': 'devpocket',
  };
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
