import { type QueryFilter, Types, type UpdateQuery } from 'mongoose';
import { type Environment, type Status } from './environment';
import { type News } from './environment.events';
import { isActive } from './environment.machine';
import { type EnvironmentRecord } from './environment.schema';

/** Still exactly as it was read: of two writers of one reading one is told to read again. */
export function unchanged(before: Environment): QueryFilter<EnvironmentRecord> {
  return { _id: new Types.ObjectId(before.id), revision: before.revision };
}

/** The caller's own. Deleted ones are gone for their user from the answer on. */
export function owned(userId: string): QueryFilter<EnvironmentRecord> {
  return { user_id: new Types.ObjectId(userId), kept_slot: { $exists: true } };
}

/** What a status no longer needs of the plan's places. */
export function placesGivenBack(status: Status): UpdateQuery<EnvironmentRecord> {
  if (status === 'deleting') return { $unset: { active_slot: 1, kept_slot: 1 } };
  return isActive(status) ? {} : { $unset: { active_slot: 1 } };
}

/** How long whoever wrote news has to tell it himself. */
const TELL_MS = 2_000;

/** What a write adds that brings news of itself; it must grow `revision` by one, and have compared it. */
export function withNews(
  before: Pick<Environment, 'untold' | 'revision'> | null,
  news: readonly News[],
  now: Date,
): { readonly untold?: News[]; readonly untold_at?: number; readonly tell_due?: Date } {
  if (news.length === 0) return {};
  return {
    untold: [...(before?.untold ?? []), ...news],
    untold_at: (before?.revision ?? 0) + 1,
    tell_due: new Date(now.getTime() + TELL_MS),
  };
}

/** What an environment keeps of its template. */
export function originFields(
  origin: Pick<Environment, 'template' | 'image' | 'defaultPort' | 'startupCommands' | 'readOnlyRoot' | 'templateVariables'>,
) {
  return {
    template: origin.template,
    image: origin.image,
    default_port: origin.defaultPort,
    startup_commands: [...origin.startupCommands],
    read_only_root: origin.readOnlyRoot,
    template_variables: origin.templateVariables,
  };
}

export function fromRecord(record: EnvironmentRecord): Environment {
  return {
    id: record._id.toHexString(),
    userId: record.user_id.toHexString(),
    name: record.name,
    description: record.description,
    template: record.template,
    image: record.image,
    defaultPort: record.default_port,
    startupCommands: record.startup_commands,
    readOnlyRoot: record.read_only_root ?? false,
    resources: record.resources,
    limits: record.limits,
    templateVariables: record.template_variables,
    environmentVariables: record.environment_variables,
    region: record.region,
    runtimeKind: record.runtime_kind,
    clusterId: record.cluster_id,
    wanted: record.wanted,
    observed: record.observed,
    shown: record.shown,
    holdsPlace: record.active_slot !== undefined,
    statusVersion: record.status_version,
    revision: record.revision,
    since: record.since,
    progressAt: record.progress_at,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    startedAt: record.started_at,
    lastAccessed: record.last_accessed,
    lastActivityAt: record.last_activity_at,
    keepUntil: record.keep_until,
    autoStopMinutes: record.auto_stop_minutes,
    planAutoStopMinutes: record.plan_auto_stop_minutes,
    planLongestRunMinutes: record.plan_longest_run_minutes,
    usage: record.usage,
    usageAt: record.usage_at ?? null,
    alerts: record.alerts ?? {},
    untold: record.untold ?? [],
    untoldAt: record.untold_at ?? null,
  };
}

export function toEnvironment(record: EnvironmentRecord | null): Environment | null {
  return record && fromRecord(record);
}
