import { baseName, incarnationName, LABEL, labelsOf } from '@devpocket/container-runtime';
import { type EnvironmentSpec, type Held, type Place } from '@devpocket/runtime';
import { type ContainerSummary } from './engine-objects';

/** Which of an environment's containers it is. */
export const PART = 'devpocket.io/part';
/** Of a container that runs shells: what went wrong with the startup commands, or nothing. */
export const STARTUP = 'devpocket.io/startup';
/** Why its volume is smaller than it should be. */
export const NOT_GROWN = 'devpocket.io/not-grown';
/** Of one whose volume is measured and not limited: how much it may hold, in bytes. */
export const STORAGE = 'devpocket.io/storage';

export type Part = 'environment' | 'startup';

/** Borne by a container that was told to end: its end is then no crash. A name can be changed where a label cannot. */
const ENDED = '-ended';

export function mainName(environmentId: string, incarnation: number): string {
  return incarnationName(environmentId, incarnation);
}

export function endedName(environmentId: string, incarnation: number): string {
  return mainName(environmentId, incarnation) + ENDED;
}

export function startupName(environmentId: string): string {
  return `${baseName(environmentId)}-startup`;
}

/** `/workspace`, and the network, which nothing else is in. */
export { baseName as volumeName, baseName as networkName };

export function stateVolumeName(environmentId: string): string {
  return `${baseName(environmentId)}-state`;
}

export function ownLabels(spec: EnvironmentSpec): Record<string, string> {
  return { ...labelsOf(spec, spec.install), [LABEL.incarnation]: String(spec.incarnation) };
}

/**
 * As the query `filters` of lists and events takes it. Podman lists networks and volumes that bear any one of the labels: what is listed is
 * held to `isOf`, too.
 */
export function filterOf(install: string, environmentId?: string): { readonly label: readonly string[] } {
  const own = `${LABEL.install}=${install}`;
  return { label: environmentId === undefined ? [own, LABEL.environment] : [own, `${LABEL.environment}=${environmentId}`] };
}

/** Is it this installation's, and that environment's where one is named? */
export function isOf(object: Pick<ContainerSummary, 'Labels'>, install: string, environmentId?: string): boolean {
  const held = heldOf(object);
  return held?.install === install && (environmentId === undefined || held.environmentId === environmentId);
}

export function incarnationOf({ Labels }: Pick<ContainerSummary, 'Labels'>): number {
  return Number(Labels?.[LABEL.incarnation] ?? 0) || 0;
}

export function partOf({ Labels }: Pick<ContainerSummary, 'Labels'>): Part {
  return Labels?.[PART] === 'startup' ? 'startup' : 'environment';
}

export function wasToldToEnd({ Names }: Pick<ContainerSummary, 'Names'>): boolean {
  return Names.some((name) => name.endsWith(ENDED));
}

export function heldOf({ Labels }: Pick<ContainerSummary, 'Labels'>): Held | null {
  const environmentId = Labels?.[LABEL.environment];
  if (environmentId === undefined) return null;
  return { environmentId, userId: Labels?.[LABEL.user] ?? '', clusterId: null, install: Labels?.[LABEL.install] ?? null };
}

export function placeOf({ environmentId, userId }: Place): Place {
  return { environmentId, userId, clusterId: null };
}
