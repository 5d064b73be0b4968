import { type Region } from '@devpocket/kernel';
import { type ClusterOptions } from '@devpocket/runtime';

export const CLUSTER_STATUSES = ['active', 'inactive', 'maintenance'] as const;
/** Only `active` ones take new environments; those that are there go on in any. */
export type ClusterStatus = (typeof CLUSTER_STATUSES)[number];

export interface Amounts {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

/** What the last measurement found. */
export interface Capacity {
  /** Of the nodes that take pods. */
  readonly allocatable: Amounts;
  /** Requested by pods that are not our environments'. */
  readonly others: Amounts;
}

/** A cluster without its kubeconfig, which leaves the repository only sealed. */
export interface Cluster {
  readonly id: string;
  readonly name: string;
  readonly region: Region;
  readonly description: string | null;
  /** Where its API server is reached: as an administrator said, else as the kubeconfig says. */
  readonly endpoint: string;
  /** The administrator's; null: as the kubeconfig says. */
  readonly ownEndpoint: string | null;
  readonly status: ClusterStatus;
  readonly maxEnvironments: number;
  readonly options: ClusterOptions;
  /** Null: not measured yet. */
  readonly capacity: Capacity | null;
  /** Did it answer when it was measured last? Null: not measured yet. */
  readonly reachable: boolean | null;
  /** Grows with each change. */
  readonly revision: number;
  /** Grows with each change of what its connection is made from. */
  readonly connectionRevision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** As administrators see it. */
export interface ClusterView extends Cluster {
  readonly isDefault: boolean;
  readonly environmentsCount: number;
}

export const DEFAULT_OPTIONS: ClusterOptions = {
  cpuRequestPercent: 5,
  memoryRequestPercent: 25,
  storageClass: null,
  runtimeClassName: null,
  nodeSelector: {},
  tolerations: [],
  imagePullSecrets: [],
};
export const DEFAULT_MAX_ENVIRONMENTS = 1_000;

export interface ClusterAddition {
  readonly name: string;
  readonly region: Region;
  /** YAML or JSON. Secret. */
  readonly kubeConfig: string;
  readonly endpoint: string | null;
  readonly description: string | null;
  readonly isDefault: boolean;
  readonly maxEnvironments: number;
  readonly options: ClusterOptions;
}

export interface ClusterChange {
  readonly name?: string;
  readonly region?: Region;
  readonly kubeConfig?: string;
  readonly endpoint?: string | null;
  readonly description?: string | null;
  readonly isDefault?: boolean;
  readonly maxEnvironments?: number;
  readonly status?: ClusterStatus;
  readonly options?: Partial<ClusterOptions>;
}

/** A region that takes new environments. */
export interface RegionView {
  readonly region: Region;
  readonly displayName: string;
  readonly clusterCount: number;
  readonly hasDefault: boolean;
}
