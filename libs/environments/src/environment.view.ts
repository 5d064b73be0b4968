import { type LogEntry } from '@devpocket/runtime';
import { stopTimeOf } from './deadline.policy';
import { type Environment } from './environment';
import { type AdminEnvironmentDto, type EnvironmentDto, type HistoryDto, type LogDto, type MetricDto } from './environment.dto';
import { type HistoryEntry, type MetricSample } from './history.repository';

const time = (date: Date | null): string | null => date?.toISOString() ?? null;

/** @param offered the version of each template that is offered now, by name */
export function toEnvironmentDto(environment: Environment, offered: ReadonlyMap<string, number>): EnvironmentDto {
  const { shown, usage, resources, template } = environment;
  return {
    id: environment.id,
    user_id: environment.userId,
    name: environment.name,
    description: environment.description,
    template: template.name,
    template_version: template.version,
    outdated: (offered.get(template.name) ?? 0) > template.version,
    image: environment.image || null,
    status: shown.status,
    desired_status: environment.wanted.desired,
    phase: shown.phase,
    progress: shown.progress,
    status_reason: shown.reason,
    status_message: shown.message,
    status_version: environment.statusVersion,
    retryable: shown.retryable,
    resources: { cpu: resources.cpu, memory: resources.memory, storage: resources.storage },
    environment_variables: { ...environment.environmentVariables },
    region: environment.region,
    cluster_id: environment.clusterId,
    external_url: null,
    web_port: null,
    created_at: environment.createdAt.toISOString(),
    updated_at: environment.updatedAt.toISOString(),
    started_at: time(environment.startedAt),
    last_accessed: time(environment.lastAccessed),
    last_activity_at: time(environment.lastActivityAt),
    auto_stop_minutes: environment.autoStopMinutes,
    stop_at: time(stopTimeOf(environment)?.at ?? null),
    cpu_usage: usage.cpu,
    memory_usage: usage.memory,
    storage_usage: usage.storage,
  };
}

/** What an administrator sees of somebody's: not the variables, which may be secrets. */
export function toAdminEnvironmentDto({ environment_variables: _theirs, ...shown }: EnvironmentDto): AdminEnvironmentDto {
  return shown;
}

export function toMetricDto(sample: MetricSample): MetricDto {
  return {
    timestamp: sample.timestamp.toISOString(),
    cpu_usage: sample.cpu,
    memory_usage: sample.memory,
    storage_usage: sample.storage,
    network_rx: sample.networkRx,
    network_tx: sample.networkTx,
    active_connections: sample.connections,
  };
}

export function toLogDto({ timestamp, level, message, source, cursor }: LogEntry): LogDto {
  return { timestamp: timestamp.toISOString(), level, message, source, cursor };
}

export function toHistoryDto({ timestamp, type, reason, message }: HistoryEntry): HistoryDto {
  return { timestamp: timestamp.toISOString(), type, reason, message };
}
