import { type Region } from '@devpocket/kernel';
import { type ClusterOptions } from '@devpocket/runtime';
import { type Amounts, type Cluster } from './cluster';

/** A cluster with what is in it. */
export interface Candidate {
  readonly cluster: Cluster;
  readonly isDefault: boolean;
  /** Environments that it has. */
  readonly environments: number;
  /** What its active ones may use, added up. */
  readonly activeLimits: Amounts;
}

export interface Wish {
  /** Limits of the environment to place. */
  readonly limits: Amounts;
  /** Asked for: nowhere else. */
  readonly region: Region | null;
  /** Rather here than elsewhere. */
  readonly preferredRegion: Region | null;
}

/** Pods request a share of their limits (contract §5). */
export function requestsOf(limits: Amounts, options: ClusterOptions): Amounts {
  return {
    cpuMillis: Math.ceil((limits.cpuMillis * options.cpuRequestPercent) / 100),
    memoryBytes: Math.ceil((limits.memoryBytes * options.memoryRequestPercent) / 100),
  };
}

/** The share in use of whichever is scarcest: places, cpu or memory. What was never measured does not count. */
function loadOf({ cluster, environments, activeLimits }: Candidate, more: Amounts): number {
  const { capacity, options, maxEnvironments } = cluster;
  const places = environments / maxEnvironments;
  if (!capacity) return places;
  const ours = requestsOf(activeLimits, options);
  const need = requestsOf(more, options);
  const share = (name: keyof Amounts): number => {
    const taken = ours[name] + capacity.others[name] + need[name];
    return taken === 0 ? 0 : taken / capacity.allocatable[name];
  };
  return Math.max(places, share('cpuMillis'), share('memoryBytes'));
}

const NOTHING: Amounts = { cpuMillis: 0, memoryBytes: 0 };

function hasRoom(candidate: Candidate, { limits }: Wish): boolean {
  const { cluster, environments } = candidate;
  return environments < cluster.maxEnvironments && loadOf(candidate, limits) <= 1;
}

/**
 * Where an environment may go, best first: its region's default, else the least loaded. Without a region first those of the preferred
 * one, then all others. Whoever did not answer when it was measured last comes last.
 */
export function rank(candidates: readonly Candidate[], wish: Wish): readonly Candidate[] {
  const key = (one: Candidate): readonly number[] => [
    one.cluster.reachable === false ? 1 : 0,
    one.cluster.region === wish.preferredRegion ? 0 : 1,
    one.isDefault ? 0 : 1,
    loadOf(one, NOTHING),
  ];
  return candidates
    .filter(({ cluster }) => cluster.status === 'active' && (wish.region === null || cluster.region === wish.region))
    .filter((one) => hasRoom(one, wish))
    .map((one) => ({ one, key: key(one) }))
    .sort((a, b) => a.key.map((value, index) => value - (b.key[index] ?? 0)).find((difference) => difference !== 0) ?? 0)
    .map(({ one }) => one);
}
