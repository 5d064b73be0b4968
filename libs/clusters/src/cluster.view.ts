import { type ClusterOptions } from '@devpocket/runtime';
import {
  type ClusterAddition,
  type ClusterChange,
  type ClusterView,
  DEFAULT_MAX_ENVIRONMENTS,
  DEFAULT_OPTIONS,
  type RegionView,
} from './cluster';
import { type ClusterHealth } from './cluster-health.service';
import {
  type ChangeClusterDto,
  type ClusterDto,
  type ClusterHealthDto,
  type CreateClusterDto,
  type RegionDto,
} from './cluster.dto';

const MEBIBYTE = 1_048_576;

export function toClusterDto(cluster: ClusterView): ClusterDto {
  const { options } = cluster;
  return {
    id: cluster.id,
    name: cluster.name,
    region: cluster.region,
    description: cluster.description,
    endpoint: cluster.endpoint,
    is_default: cluster.isDefault,
    max_environments: cluster.maxEnvironments,
    status: cluster.status,
    environments_count: cluster.environmentsCount,
    cpu_request_percent: options.cpuRequestPercent,
    memory_request_percent: options.memoryRequestPercent,
    storage_class: options.storageClass,
    runtime_class_name: options.runtimeClassName,
    node_selector: { ...options.nodeSelector },
    tolerations: options.tolerations.map((toleration) => ({ ...toleration })),
    image_pull_secrets: [...options.imagePullSecrets],
    created_at: cluster.createdAt.toISOString(),
    updated_at: cluster.updatedAt.toISOString(),
  };
}

export function toRegionDto({ region, displayName, clusterCount, hasDefault }: RegionView): RegionDto {
  return { region, display_name: displayName, cluster_count: clusterCount, available: true, has_default: hasDefault };
}

export function toHealthDto({ clusterId, at, error, reading }: ClusterHealth): ClusterHealthDto {
  return {
    cluster_id: clusterId,
    status: reading ? 'healthy' : 'unhealthy',
    last_check: at.toISOString(),
    response_time_ms: reading?.responseTimeMs ?? null,
    error_message: error,
    node_count: reading?.nodeCount ?? null,
    available_resources: reading && {
      cpu: `${reading.available.cpuMillis}m`,
      memory: `${Math.floor(reading.available.memoryBytes / MEBIBYTE)}Mi`,
    },
  };
}

export function toAddition(dto: CreateClusterDto): ClusterAddition {
  return {
    name: dto.name,
    region: dto.region,
    kubeConfig: decoded(dto.kube_config),
    endpoint: dto.endpoint ?? null,
    description: dto.description ?? null,
    isDefault: dto.is_default ?? false,
    maxEnvironments: dto.max_environments ?? DEFAULT_MAX_ENVIRONMENTS,
    options: { ...DEFAULT_OPTIONS, ...optionsOf(dto) },
  };
}

export function toChange(dto: ChangeClusterDto): ClusterChange {
  const options = optionsOf(dto);
  return {
    ...(dto.name === undefined ? {} : { name: dto.name }),
    ...(dto.region === undefined ? {} : { region: dto.region }),
    ...(dto.kube_config === undefined ? {} : { kubeConfig: decoded(dto.kube_config) }),
    ...(dto.endpoint === undefined ? {} : { endpoint: dto.endpoint }),
    ...(dto.description === undefined ? {} : { description: dto.description }),
    ...(dto.is_default === undefined ? {} : { isDefault: dto.is_default }),
    ...(dto.max_environments === undefined ? {} : { maxEnvironments: dto.max_environments }),
    ...(dto.status === undefined ? {} : { status: dto.status }),
    ...(Object.keys(options).length === 0 ? {} : { options }),
  };
}

function optionsOf(dto: ChangeClusterDto): Partial<ClusterOptions> {
  return {
    ...(dto.cpu_request_percent === undefined ? {} : { cpuRequestPercent: dto.cpu_request_percent }),
    ...(dto.memory_request_percent === undefined ? {} : { memoryRequestPercent: dto.memory_request_percent }),
    ...(dto.storage_class === undefined ? {} : { storageClass: dto.storage_class }),
    ...(dto.runtime_class_name === undefined ? {} : { runtimeClassName: dto.runtime_class_name }),
    ...(dto.node_selector === undefined ? {} : { nodeSelector: dto.node_selector }),
    ...(dto.tolerations === undefined ? {} : { tolerations: dto.tolerations.map((toleration) => ({ ...toleration })) }),
    ...(dto.image_pull_secrets === undefined ? {} : { imagePullSecrets: dto.image_pull_secrets }),
  };
}

function decoded(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
