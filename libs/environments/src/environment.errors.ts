import { type Plan } from '@devpocket/access';
import { DomainError, type Region } from '@devpocket/kernel';
import { LIMIT_NAMES, type LimitName, PLAN_LIMITS, PLANS } from '@devpocket/users';
import { type Status } from './environment';

export const environmentNotFound = (): DomainError => DomainError.notFound('Environment');
export const nameTaken = (): DomainError =>
  new DomainError('duplicate', 'name_taken', 'You have an environment of this name already');
export const emailNotVerified = (): DomainError =>
  new DomainError('forbidden', 'email_not_verified', 'Please verify your email address');

export const invalidState = (current: Status, allowed: readonly Status[]): DomainError =>
  new DomainError('invalid_state', 'invalid_state', `Not possible while the environment is ${current}`, {
    extra: { current_status: current, allowed: [...allowed] },
  });

export const noClusterAvailable = (region: Region | null): DomainError =>
  new DomainError(
    'unavailable',
    'no_cluster_available',
    region === null
      ? 'No cluster has room for the environment'
      : `No cluster of the region ${region} has room for the environment`,
    { retryAfter: 60 },
  );

/**
 * @param which which count is at its limit
 * @param used how many there are: after a downgrade more than the plan allows
 */
export function limitReached(which: 'active' | 'kept', plan: Plan, used: number): DomainError {
  const allowed = PLAN_LIMITS[plan][which];
  const larger = PLANS.filter((other) => PLAN_LIMITS[other][which] > allowed && other !== 'admin');
  const options = [
    which === 'active'
      ? { action: 'stop_environment', detail: 'Stop an environment that runs' }
      : { action: 'delete_environment', detail: 'Delete an environment that you no longer need' },
    ...larger.map((other) => ({ action: 'upgrade_plan', detail: `The plan ${other} allows ${PLAN_LIMITS[other][which]}` })),
  ];
  return new DomainError(
    'forbidden',
    'environment_limit_reached',
    'Environment limit reached. Upgrade your plan to create more environments.',
    {
      extra: { limit: { name: LIMIT_NAMES[which], allowed, used, plan }, options },
    },
  );
}

export function planLimitExceeded(name: LimitName, allowed: number | null, asked: number, plan: Plan): DomainError {
  return new DomainError(
    'forbidden',
    'plan_limit_exceeded',
    `The plan ${plan} allows ${name} up to ${allowed ?? 'any'}, and ${asked} was asked for`,
    {
      extra: { limit: { name, allowed, used: asked, plan } },
    },
  );
}
