import { type Plan, type Role } from '@devpocket/access';

/** What a plan allows (contract §4). Resources are those of one environment; thousandths of a core and bytes. */
export interface PlanLimits {
  /** Environments in any status but `stopped`, `error`, `deleting`. */
  readonly active: number;
  /** Environments in all, stopped ones included. */
  readonly kept: number;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  /** Minutes without activity after which an environment stops; null: never. */
  readonly autoStopMinutes: number | null;
  /** Minutes that an environment may run at a stretch; null: no limit. */
  readonly longestRunMinutes: number | null;
}

const GI = 2 ** 30;
const HOUR = 60;

export const PLAN_LIMITS: Readonly<Record<Plan, PlanLimits>> = {
  free: {
    active: 1,
    kept: 3,
    cpuMillis: 500,
    memoryBytes: GI,
    storageBytes: 5 * GI,
    autoStopMinutes: 30,
    longestRunMinutes: 12 * HOUR,
  },
  starter: {
    active: 3,
    kept: 10,
    cpuMillis: 1000,
    memoryBytes: 2 * GI,
    storageBytes: 10 * GI,
    autoStopMinutes: 2 * HOUR,
    longestRunMinutes: 24 * HOUR,
  },
  pro: {
    active: 10,
    kept: 30,
    cpuMillis: 2000,
    memoryBytes: 4 * GI,
    storageBytes: 20 * GI,
    autoStopMinutes: 8 * HOUR,
    longestRunMinutes: 7 * 24 * HOUR,
  },
  admin: {
    active: 100,
    kept: 300,
    cpuMillis: 4000,
    memoryBytes: 8 * GI,
    storageBytes: 50 * GI,
    autoStopMinutes: null,
    longestRunMinutes: null,
  },
};

/** From the smallest to the largest. */
export const PLANS: readonly Plan[] = ['free', 'starter', 'pro', 'admin'];

/** Plan `admin` implies role `admin`; `pro` is a plan, not an administrator. */
export function roleOf(plan: Plan, granted: Role): Role {
  return plan === 'admin' ? 'admin' : granted;
}
