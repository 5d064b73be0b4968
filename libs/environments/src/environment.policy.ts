import { type Plan } from '@devpocket/access';
import { DomainError, type FieldError } from '@devpocket/kernel';
import { type ResourceLimits } from '@devpocket/runtime';
import { LIMIT_NAMES, type LimitName, PLAN_LIMITS } from '@devpocket/users';
import { type Resources } from './environment';
import { planLimitExceeded } from './environment.errors';
import { bytes, cpuMillis } from './quantity.policy';

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const MOST_VARIABLES = 100;
const MOST_VARIABLE_BYTES = 32 * 1024;

/** @throws DomainError 422 naming each faulty resource */
export function toLimits(resources: Resources): ResourceLimits {
  const read = { cpu: cpuMillis(resources.cpu), memory: bytes(resources.memory), storage: bytes(resources.storage) };
  const errors: FieldError[] = (['cpu', 'memory', 'storage'] as const)
    .filter((name) => read[name] === null || read[name] <= 0)
    .map((name) => ({
      field: `resources.${name}`,
      code: 'invalid_quantity',
      message: `must be a Kubernetes quantity above zero, such as ${name === 'cpu' ? '500m or 2' : '512Mi or 1.5Gi'}; given: ${resources[name]}`,
    }));
  if (errors.length > 0) throw DomainError.invalid(...errors);
  return { cpuMillis: read.cpu ?? 0, memoryBytes: read.memory ?? 0, storageBytes: read.storage ?? 0 };
}

const NOTHING: ResourceLimits = { cpuMillis: 0, memoryBytes: 0, storageBytes: 0 };

/**
 * @param had what may stay: after a downgrade it can be more than the plan of now
 * @throws DomainError `plan_limit_exceeded`
 */
export function checkPlan(limits: ResourceLimits, plan: Plan, had = NOTHING): void {
  checkCompute(limits, plan, had);
  check('storageBytes', LIMIT_NAMES.storage, limits, plan, had);
}

/** What a start asks of the plan of now: storage never shrinks, so it must not keep anybody from their files after a downgrade. */
export function checkCompute(limits: ResourceLimits, plan: Plan, had = NOTHING): void {
  check('cpuMillis', LIMIT_NAMES.cpu, limits, plan, had);
  check('memoryBytes', LIMIT_NAMES.memory, limits, plan, had);
}

function check(limit: keyof ResourceLimits, name: LimitName, limits: ResourceLimits, plan: Plan, had: ResourceLimits): void {
  const most = PLAN_LIMITS[plan][limit];
  if (limits[limit] > Math.max(most, had[limit])) throw planLimitExceeded(name, most, limits[limit], plan);
}

/** The template's resources, where they are above the plan's the plan's. */
export function clip(resources: Resources, plan: Plan): Resources {
  const limits = toLimits(resources);
  const most = PLAN_LIMITS[plan];
  return {
    cpu: limits.cpuMillis > most.cpuMillis ? `${most.cpuMillis}m` : resources.cpu,
    memory: limits.memoryBytes > most.memoryBytes ? String(most.memoryBytes) : resources.memory,
    storage: limits.storageBytes > most.storageBytes ? String(most.storageBytes) : resources.storage,
  };
}

/** @throws DomainError 422 for what UTF-8, and so the database, cannot hold */
export function checkDescription(text: string | null): void {
  if (text?.isWellFormed() === false)
    throw DomainError.invalid({
      field: 'description',
      code: 'invalid_description',
      message: 'must not contain a lone surrogate',
    });
}

/** @throws DomainError 422; never repeats a value */
export function checkVariables(variables: Readonly<Record<string, string>>): void {
  const field = 'environment_variables';
  const entries = Object.entries(variables);
  const refuse = (at: string, code: string, message: string): never => {
    throw DomainError.invalid({ field: at, code, message });
  };
  if (entries.length > MOST_VARIABLES)
    refuse(field, 'too_many_variables', `must be at most ${MOST_VARIABLES}; given: ${entries.length}`);
  for (const [name, value] of entries) {
    if (!VARIABLE.test(name))
      refuse(
        `${field}.${name.slice(0, 100)}`,
        'invalid_variable_name',
        'must be named by letters, digits and _, not beginning with a digit',
      );
    if (typeof value !== 'string') refuse(`${field}.${name}`, 'invalid_variable_value', 'must be a string');
    if (value.includes('\0') || !value.isWellFormed())
      refuse(`${field}.${name}`, 'invalid_variable_value', 'must not contain a NUL character or a lone surrogate');
  }
  const size = entries.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
  if (size > MOST_VARIABLE_BYTES)
    refuse(field, 'variables_too_large', `must be at most ${MOST_VARIABLE_BYTES} bytes in all; given: ${size}`);
}

/** @throws DomainError 422 or `plan_limit_exceeded` */
export function checkAutoStop(minutes: number | null, plan: Plan): void {
  const most = PLAN_LIMITS[plan].autoStopMinutes;
  if (minutes === null || most === null) return;
  if (minutes === 0 || minutes > most) throw planLimitExceeded(LIMIT_NAMES.autoStop, most, minutes, plan);
}

/** Does the whole reference match one of the globs? `*` is any text on one line. */
export function imageAllowed(image: string, patterns: readonly string[]): boolean {
  return !/[\n\r\u2028\u2029]/.test(image) && patterns.some((pattern) => matchesGlob(image, pattern));
}

/** Each part at its first place behind the one before, which leaves the most for the rest: nothing is tried twice. */
function matchesGlob(text: string, pattern: string): boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of others) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
