import { type ClusterOptions } from '@devpocket/runtime';
import { type Cluster } from './cluster';
import { type ClusterRecord, type OptionsRecord, type SealedRecord } from './cluster.schema';
import { type Sealed } from './keyring';

export function nameKey(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}

export function toSealedRecord({ keyId, nonce, tag, data }: Sealed): SealedRecord {
  return { key_id: keyId, nonce: nonce.toString('base64'), tag: tag.toString('base64'), data: data.toString('base64') };
}

export function fromSealedRecord({ key_id, nonce, tag, data }: SealedRecord): Sealed {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
  return { keyId: key_id, nonce: bytes(nonce), tag: bytes(tag), data: bytes(data) };
}

export function toOptionsRecord(options: ClusterOptions): OptionsRecord {
  return {
    cpu_request_percent: options.cpuRequestPercent,
    memory_request_percent: options.memoryRequestPercent,
    storage_class: options.storageClass,
    runtime_class_name: options.runtimeClassName,
    node_selector: Object.entries(options.nodeSelector).map(([key, value]) => ({ key, value })),
    tolerations: options.tolerations.map((toleration) => ({ ...toleration })),
    image_pull_secrets: [...options.imagePullSecrets],
  };
}

function fromOptionsRecord(record: OptionsRecord): ClusterOptions {
  return {
    cpuRequestPercent: record.cpu_request_percent,
    memoryRequestPercent: record.memory_request_percent,
    storageClass: record.storage_class,
    runtimeClassName: record.runtime_class_name,
    nodeSelector: Object.fromEntries(record.node_selector.map(({ key, value }) => [key, value])),
    tolerations: record.tolerations,
    imagePullSecrets: record.image_pull_secrets,
  };
}

/** Of a cluster as it is read everywhere but where its kubeconfig is opened. */
export type OpenRecord = Omit<ClusterRecord, 'kube_config'>;

export function fromRecord(record: OpenRecord): Cluster {
  return {
    id: record._id.toHexString(),
    name: record.name,
    region: record.region,
    description: record.description,
    endpoint: record.own_endpoint ?? record.server,
    ownEndpoint: record.own_endpoint,
    status: record.status,
    maxEnvironments: record.max_environments,
    options: fromOptionsRecord(record.options),
    capacity: record.capacity,
    reachable: record.reachable,
    revision: record.revision,
    connectionRevision: record.connection_revision,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
  };
}
