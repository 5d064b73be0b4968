import { type Plan } from '@devpocket/access';
import { PLAN_LIMITS } from './plan.policy';

/** The limits' names, here and in refusals. */
export const LIMIT_NAMES = {
  active: 'active_environments',
  kept: 'kept_environments',
  cpu: 'cpu_millis',
  memory: 'memory_bytes',
  storage: 'storage_bytes',
  autoStop: 'auto_stop_minutes',
  longestRun: 'longest_run_minutes',
} as const;
export type LimitName = (typeof LIMIT_NAMES)[keyof typeof LIMIT_NAMES];

export interface Limit {
  readonly name: LimitName;
  /** In the unit that the name says, else a count; null: no limit. */
  readonly allowed: number | null;
  /** Null for what is limited per environment rather than counted. */
  readonly used: number | null;
  readonly plan: Plan;
}

/** Thousandths of a core, bytes, bytes. */
export interface ResourceAmounts {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
}

const NOTHING: ResourceAmounts = { cpuMillis: 0, memoryBytes: 0, storageBytes: 0 };

/** What an account uses of its plan now. */
export interface AllowanceUsage {
  readonly active: number;
  readonly kept: number;
  /** The largest environment for which there is room, where that is less than the plan's; null: as large as the plan allows. */
  readonly largest: ResourceAmounts | null;
}

export interface Allowance {
  readonly plan: Plan;
  readonly limits: readonly Limit[];
  readonly canCreate: boolean;
  /** Of a further environment; nothing when none can be created. */
  readonly largestResources: ResourceAmounts;
}

/** @param mayCreate false when something other than a limit forbids it (an address not yet verified) */
export function allowanceOf(plan: Plan, usage: AllowanceUsage, mayCreate: boolean): Allowance {
  const limits = PLAN_LIMITS[plan];
  const counted = (name: LimitName, allowed: number, used: number): Limit => ({ name, allowed, used, plan });
  const each = (name: LimitName, allowed: number | null): Limit => ({ name, allowed, used: null, plan });
  const canCreate = mayCreate && usage.active < limits.active && usage.kept < limits.kept;
  const largest = usage.largest ?? limits;
  return {
    plan,
    limits: [
      counted(LIMIT_NAMES.active, limits.active, usage.active),
      counted(LIMIT_NAMES.kept, limits.kept, usage.kept),
      each(LIMIT_NAMES.cpu, limits.cpuMillis),
      each(LIMIT_NAMES.memory, limits.memoryBytes),
      each(LIMIT_NAMES.storage, limits.storageBytes),
      each(LIMIT_NAMES.autoStop, limits.autoStopMinutes),
      each(LIMIT_NAMES.longestRun, limits.longestRunMinutes),
    ],
    canCreate,
    largestResources: canCreate
      ? {
          cpuMillis: Math.min(largest.cpuMillis, limits.cpuMillis),
          memoryBytes: Math.min(largest.memoryBytes, limits.memoryBytes),
          storageBytes: Math.min(largest.storageBytes, limits.storageBytes),
        }
      : NOTHING,
  };
}

/** As Kubernetes writes it: `500m`. */
export function cpuQuantity(millis: number): string {
  return `${Math.floor(millis)}m`;
}

const UNITS = [
  ['Gi', 2 ** 30],
  ['Mi', 2 ** 20],
  ['Ki', 2 ** 10],
] as const;

/** In the largest unit that holds it without a fraction: `5Gi`, `1536Mi`. */
export function bytesQuantity(bytes: number): string {
  const whole = Math.floor(bytes);
  for (const [unit, size] of UNITS) if (whole > 0 && whole % size === 0) return `${whole / size}${unit}`;
  return String(whole);
}
