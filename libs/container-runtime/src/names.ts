import { type EnvironmentSpec } from '@devpocket/runtime';
import { createHash } from 'node:crypto';

export const LABEL = {
  environment: 'devpocket.io/env',
  install: 'devpocket.io/install',
  user: 'devpocket.io/user',
  incarnation: 'devpocket.io/incarnation',
} as const;

/** Ids are taken as they stand where they can be; anything else is hashed, never shortened into another's name. */
export function slug(id: string): string {
  return /^[a-z0-9]{1,24}$/.test(id) ? id : `x${createHash('sha256').update(id).digest('hex').slice(0, 23)}`;
}

export function baseName(environmentId: string): string {
  return `env-${slug(environmentId)}`;
}

/** A name of its own for each incarnation, so that what is meant for one never reaches the next. */
export function incarnationName(environmentId: string, incarnation: number): string {
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

/** Null for a name of which nothing is left. */
export function hostnameOf(name: string): string | null {
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '');
  return label === '' ? null : label.slice(0, 63);
}
