import { COUNT_COMMAND, LONGEST_COUNT_MS, type StorageMeter } from '@devpocket/container-runtime';
import { type Clock } from '@devpocket/kernel';
import { type Place, type Usage } from '@devpocket/runtime';
import { type ApiClient } from './api-client';
import { ApiError } from './api-error';
import { type Pod } from './kube-objects';
import { execute } from './exec-stream';
import { CONTAINER, incarnationOf } from './names';
import { bytesOf, millisOf } from './quantity';
import { mainOf } from './sight';
import { type WatchCache } from './watch-cache';

/** A reading serves all who ask for so long; one that lacks a pod which runs (the kubelet is a little behind) for less. */
const FRESH_MS = 15_000;
const FRESH_LACKING_MS = 5_000;
/** Where the kubelet's summary is refused or not served, it is not asked again before this. */
const REFUSED_MS = 600_000;
/** Of one core: above it somebody's work is going on. */
const BUSY_MILLIS = 30;

export type Reading = Omit<Usage, 'storageBytes'> & { readonly storageBytes: number | null };

interface Sample {
  readonly at: number;
  readonly byPod: Promise<ReadonlyMap<string, Reading>>;
}

/** The kubelet's `/stats/summary`, as far as it is read. */
export interface Summary {
  readonly pods?: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly cpu?: { readonly usageNanoCores?: number };
    readonly memory?: { readonly workingSetBytes?: number };
    readonly network?: { readonly rxBytes?: number; readonly txBytes?: number };
    readonly volume?: readonly { readonly usedBytes?: number; readonly pvcRef?: { readonly name: string } }[];
  }[];
}

export interface PodMetricsList {
  readonly items?: readonly {
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly containers?: readonly {
      readonly name: string;
      readonly usage?: { readonly cpu?: string; readonly memory?: string };
    }[];
  }[];
}

/**
 * What pods use: from the summary of each kubelet that has some (one call a node, which tells network and volumes too), or
 * where the rights do not reach that far from metrics.k8s.io (one call a cluster).
 */
export class UsageReader {
  private readonly samples = new Map<string, Sample>();
  private summaryRefusedAt = -Infinity;

  constructor(
    private readonly scope: { readonly api: ApiClient; readonly pods: WatchCache<Pod> },
    private readonly storage: StorageMeter,
    private readonly clock: Clock,
  ) {}

  async read(places: readonly Place[]): Promise<ReadonlyMap<string, Usage>> {
    const running = places.flatMap((place) => {
      const pods = this.scope.pods.of(place.environmentId).filter((pod) => mainOf(pod)?.state?.running);
      const [pod] = [...pods].sort((a, b) => incarnationOf(b) - incarnationOf(a));
      return pod ? [{ place, pod }] : [];
    });
    const found = new Map<string, Usage>();
    const readings = new Map<string, ReadonlyMap<string, Reading>>();
    for (const { place, pod } of running) {
      const node = pod.spec?.nodeName ?? '';
      const ofNode =
        readings.get(node) ??
        (await this.ofNode(
          node,
          running.map((one) => one.pod),
        ));
      readings.set(node, ofNode);
      const reading = ofNode.get(keyOf(pod));
      if (!reading) continue;
      if (reading.cpuMillis > BUSY_MILLIS) this.storage.touch(place.environmentId);
      const storageBytes = reading.storageBytes ?? this.storage.read(place.environmentId, () => this.count(pod));
      found.set(place.environmentId, { ...reading, storageBytes });
    }
    return found;
  }

  private async count({ metadata }: Pod): Promise<string> {
    const at = { namespace: metadata?.namespace ?? '', pod: metadata?.name ?? '', container: CONTAINER };
    return (await execute(this.scope.api, { ...at, command: COUNT_COMMAND }, LONGEST_COUNT_MS)).stdout;
  }

  private async ofNode(node: string, running: readonly Pod[]): Promise<ReadonlyMap<string, Reading>> {
    const bySummary = this.clock.millis() - this.summaryRefusedAt > REFUSED_MS;
    const source = bySummary ? node : '';
    const sample = this.samples.get(source);
    if (sample) {
      const age = this.clock.millis() - sample.at;
      const held = await sample.byPod.catch(() => new Map<string, Reading>());
      const lacks = running.some((pod) => (!bySummary || pod.spec?.nodeName === node) && !held.has(keyOf(pod)));
      if (age < (lacks ? FRESH_LACKING_MS : FRESH_MS)) return held;
    }
    const byPod = bySummary ? this.summary(node) : this.metrics();
    this.samples.set(source, { at: this.clock.millis(), byPod });
    try {
      return await byPod;
    } catch (error) {
      if (!bySummary || !(error instanceof ApiError) || ![401, 403, 404, 405].includes(error.status)) return new Map();
      this.summaryRefusedAt = this.clock.millis();
      return this.ofNode(node, running);
    }
  }

  private async summary(node: string): Promise<ReadonlyMap<string, Reading>> {
    return fromSummary(await this.scope.api.get<Summary>(`/api/v1/nodes/${node}/proxy/stats/summary`));
  }

  private async metrics(): Promise<ReadonlyMap<string, Reading>> {
    return fromMetrics(await this.scope.api.get<PodMetricsList>('/apis/metrics.k8s.io/v1beta1/pods'));
  }
}

export function fromSummary({ pods = [] }: Summary): ReadonlyMap<string, Reading> {
  return new Map(
    pods.flatMap(({ podRef, cpu, memory, network, volume = [] }) => {
      // Zero is the kubelet's word for a container that it has not looked at yet.
      if (!memory?.workingSetBytes) return [];
      const used = volume.find(({ pvcRef }) => pvcRef !== undefined)?.usedBytes;
      const reading = {
        cpuMillis: Math.round((cpu?.usageNanoCores ?? 0) / 1e6),
        memoryBytes: memory.workingSetBytes,
        storageBytes: used ?? null,
        networkRx: network?.rxBytes ?? null,
        networkTx: network?.txBytes ?? null,
      };
      return [[`${podRef.namespace}/${podRef.name}`, reading] as const];
    }),
  );
}

export function fromMetrics({ items = [] }: PodMetricsList): ReadonlyMap<string, Reading> {
  return new Map(
    items.flatMap(({ metadata, containers = [] }) => {
      const usage = containers.find(({ name }) => name === CONTAINER)?.usage;
      if (!usage) return [];
      const reading = {
        cpuMillis: millisOf(usage.cpu),
        memoryBytes: bytesOf(usage.memory),
        storageBytes: null,
        networkRx: null,
        networkTx: null,
      };
      return [[`${metadata.namespace}/${metadata.name}`, reading] as const];
    }),
  );
}

function keyOf(pod: Pod): string {
  return `${pod.metadata?.namespace ?? ''}/${pod.metadata?.name ?? ''}`;
}
