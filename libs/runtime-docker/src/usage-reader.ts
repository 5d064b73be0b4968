import { COUNT_COMMAND, LONGEST_COUNT_MS } from '@devpocket/container-runtime';
import { type Place, type Usage } from '@devpocket/runtime';
import { type ContainerSummary } from './engine-objects';
import { type EngineSession } from './engine-session';
import { execute } from './exec-stream';
import { heldOf, incarnationOf, STORAGE } from './names';
import { isAlive, mainsOf, type Trouble } from './sight';
import { overfull } from './storage.policy';

/** A reading serves all who ask for so long. */
const FRESH_MS = 1_000;
const AT_ONCE = 8;
/** Of one core: above it somebody's work is going on. */
const BUSY_MILLIS = 30;

/** What `GET /containers/{id}/stats` says, as far as it is read. */
export interface Stats {
  readonly read?: string;
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes?: number; readonly tx_bytes?: number }>> | null;
  /** podman's word for the same. */
  readonly network?: Stats['networks'];
}

/** Cumulated: two of them make a rate. */
export interface Reading {
  readonly cpuNanos: number;
  readonly atMs: number;
  readonly memoryBytes: number;
  readonly networkRx: number | null;
  readonly networkTx: number | null;
}

interface Sample {
  readonly reading: Reading;
  readonly cpuMillis: number;
}

/** What containers use, one call each: the engine has no call for all of them. */
export class UsageReader {
  private readonly samples = new Map<string, Sample>();
  private readonly firstCounts = new Map<string, { readonly bytes: number; readonly at: number }>();

  constructor(
    private readonly session: EngineSession,
    private readonly end: (container: ContainerSummary, trouble: Trouble) => Promise<void>,
  ) {}

  async read(places: readonly Place[]): Promise<ReadonlyMap<string, Usage>> {
    if (places.length === 0) return new Map();
    const wanted = new Set(places.map(({ environmentId }) => environmentId));
    const containers = mainsOf(await this.session.containers().catch(() => []))
      .filter(isAlive)
      .filter((one) => wanted.has(heldOf(one)?.environmentId ?? ''));
    const there = new Set(containers.map(({ Id }) => Id));
    for (const kept of [this.samples, this.firstCounts]) for (const id of kept.keys()) if (!there.has(id)) kept.delete(id);
    const found = new Map<string, Usage>();
    const queue = [...containers];
    const work = async (): Promise<void> => {
      for (let one = queue.shift(); one; one = queue.shift()) {
        const usage = await this.usageOf(one).catch(() => null);
        if (usage) found.set(heldOf(one)?.environmentId ?? '', usage);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return found;
  }

  private async usageOf(one: ContainerSummary): Promise<Usage | null> {
    const { environmentId = '' } = heldOf(one) ?? {};
    const { cpuMillis, reading } = await this.sample(one);
    if (cpuMillis > BUSY_MILLIS) this.session.storage.touch(environmentId);
    const storageBytes = this.session.storage.read(
      environmentId,
      async () => (await execute(this.session.engine, one.Id, COUNT_COMMAND, LONGEST_COUNT_MS)).stdout,
      (bytes, before) => void this.counted(one, bytes, before).catch(() => undefined), // counted again in a minute
    );
    const { memoryBytes, networkRx, networkTx } = reading;
    return { cpuMillis, memoryBytes, storageBytes, networkRx, networkTx };
  }

  private async sample({ Id }: ContainerSummary): Promise<Sample> {
    const before = this.samples.get(Id);
    const now = this.session.clock.millis();
    if (before && now - before.reading.atMs < FRESH_MS) return before;
    // The first reading is of the time since the start.
    const [stats, since] = await Promise.all([this.stats(Id), before ? before.reading : this.startOf(Id)]);
    const reading = readingOf(stats, now);
    const sample = { reading, cpuMillis: rateOf(since, reading) };
    this.samples.set(Id, sample);
    return sample;
  }

  private stats(container: string): Promise<Stats> {
    // `one-shot` does not wait for a second sample.
    return this.session.engine.get<Stats>(`/containers/${container}/stats`, { query: { stream: false, 'one-shot': true } });
  }

  private async startOf(container: string): Promise<Pick<Reading, 'cpuNanos' | 'atMs'>> {
    const { State } = await this.session.engine.get<{ readonly State: { readonly StartedAt: string } }>(
      `/containers/${container}/json`,
    );
    return { cpuNanos: 0, atMs: Date.parse(State.StartedAt) };
  }

  private async counted(one: ContainerSummary, bytes: number, before: number | null): Promise<void> {
    const limit = Number(one.Labels?.[STORAGE] ?? Infinity);
    const now = this.session.clock.millis();
    const first = this.firstCounts.get(one.Id) ?? { bytes: before ?? (incarnationOf(one) === 1 ? 0 : bytes), at: now };
    this.firstCounts.set(one.Id, first);
    const trouble = overfull({ bytes, limit, first: first.bytes, ageMs: now - first.at });
    if (trouble) await this.end(one, trouble);
    // Nothing is lost by waiting for the next count.
    else if (bytes > limit) this.session.storage.touch(heldOf(one)?.environmentId ?? '');
  }
}

export function readingOf({ cpu_stats, memory_stats, networks, network }: Stats, atMs: number): Reading {
  const { usage = 0, stats = {} } = memory_stats ?? {};
  // What can be given up at any time is nobody's use (`inactive_file` with cgroup v2, the other with v1; as the docker command counts).
  const cache = stats.inactive_file ?? stats.total_inactive_file ?? 0;
  const links = Object.values(networks ?? network ?? {});
  const sum = (of: 'rx_bytes' | 'tx_bytes'): number | null =>
    links.length === 0 ? null : links.reduce((total, link) => total + (link[of] ?? 0), 0);
  return {
    cpuNanos: cpu_stats?.cpu_usage?.total_usage ?? 0,
    atMs,
    memoryBytes: Math.max(0, usage - cache),
    networkRx: sum('rx_bytes'),
    networkTx: sum('tx_bytes'),
  };
}

/** Thousandths of a core between two readings. */
export function rateOf(before: Pick<Reading, 'cpuNanos' | 'atMs'>, now: Pick<Reading, 'cpuNanos' | 'atMs'>): number {
  const nanos = (now.atMs - before.atMs) * 1e6;
  return nanos > 0 ? Math.max(0, Math.round(((now.cpuNanos - before.cpuNanos) / nanos) * 1000)) : 0;
}
