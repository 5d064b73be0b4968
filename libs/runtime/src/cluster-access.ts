/** How pods run within one cluster, set by an administrator. */
export interface ClusterOptions {
  /** Share of an environment's cpu limit that its pod requests, 1–100 percent. */
  readonly cpuRequestPercent: number;
  /** Share of its memory limit, 1–100 percent. */
  readonly memoryRequestPercent: number;
  /** Null: the cluster's default class. */
  readonly storageClass: string | null;
  /** A RuntimeClass such as gVisor's or Kata's; null: the cluster's default. */
  readonly runtimeClassName: string | null;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly ClusterToleration[];
  /** Names of Secrets of the driver's own namespace, copied into each user's. */
  readonly imagePullSecrets: readonly string[];
}

/** As in the Kubernetes API, core/v1 Toleration. */
export interface ClusterToleration {
  readonly key?: string;
  readonly operator?: 'Exists' | 'Equal';
  readonly value?: string;
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

/** What it takes to reach one cluster. */
export interface ClusterConnection {
  readonly clusterId: string;
  readonly name: string;
  /** Grows with each change of anything here, so that a client made from an older one is dropped. */
  readonly revision: number;
  /** YAML or JSON; secret. Null: the server runs as a pod of this cluster and uses its own service account. */
  readonly kubeConfig: string | null;
  /** Replaces the server address of the kubeconfig; null: as it stands there. */
  readonly endpoint: string | null;
  readonly options: ClusterOptions;
}

/** Where a driver of clusters learns of them. Implemented above, by whoever keeps the clusters. */
export abstract class ClusterDirectory {
  abstract list(): Promise<readonly ClusterConnection[]>;
  abstract find(clusterId: string): Promise<ClusterConnection | null>;
}

/** What a cluster said of itself; measured, never made up. */
export interface ClusterReading {
  readonly responseTimeMs: number;
  readonly version: string;
  /** Nodes that are ready and take pods. */
  readonly nodeCount: number;
  /** Of these nodes together. */
  readonly allocatable: { readonly cpuMillis: number; readonly memoryBytes: number };
  /** Requests of all pods on them that have not ended. */
  readonly requested: { readonly cpuMillis: number; readonly memoryBytes: number };
}

/** Judges and measures clusters; the runtime's driver for them implements it. */
export abstract class ClusterInspector {
  /**
   * Refuses what must not be stored: no parse, no usable context, `exec` or auth-provider plugins, paths of files, and
   * `insecure-skip-tls-verify` unless allowed.
   * @returns the server's address of the current context
   * @throws RuntimeError `invalid`, with a sentence that never quotes a secret
   */
  abstract checkKubeConfig(kubeConfig: string, options: { readonly allowInsecure: boolean }): { readonly endpoint: string };

  /** @throws RuntimeError `unreachable` (no answer, or TLS) or `refused` (credentials, rights) */
  abstract measure(connection: ClusterConnection, signal: AbortSignal): Promise<ClusterReading>;
}
