import { type Clock } from '@devpocket/kernel';
import { WORKSPACE_PATH } from './container-scripts';

const AT_ONCE = 4;

/** Counts the volume, run in the container. */
export const COUNT_COMMAND = ['du', '-sk', WORKSPACE_PATH] as const;
/** What a count may take. */
export const LONGEST_COUNT_MS = 60_000;

interface Measure {
  bytes: number | null;
  at: number;
  /** Was there activity since? A volume that nobody works on does not grow. */
  stale: boolean;
}

/** Counts volumes from within their containers, where the runtime does not tell. */
export class StorageMeter {
  private readonly measures = new Map<string, Measure>();
  private underWay = 0;

  constructor(
    private readonly clock: Clock,
    private readonly atMostEveryMs: number,
  ) {}

  /** Somebody works in it. */
  touch(environmentId: string): void {
    const measure = this.measures.get(environmentId);
    if (measure) measure.stale = true;
  }

  forget(environmentId: string): void {
    this.measures.delete(environmentId);
  }

  /**
   * The last count, null before the first; begins another where one is due.
   * @param count what `COUNT_COMMAND` prints
   * @param onCount is told of each count and of the one before it, in bytes
   */
  read(
    environmentId: string,
    count: () => Promise<string>,
    onCount: (bytes: number, before: number | null) => void = () => undefined,
  ): number | null {
    const measure = this.measures.get(environmentId) ?? { bytes: null, at: -Infinity, stale: true };
    this.measures.set(environmentId, measure);
    const now = this.clock.millis();
    if (measure.stale && now - measure.at >= this.atMostEveryMs && this.underWay < AT_ONCE) {
      measure.at = now;
      measure.stale = false;
      this.underWay += 1;
      void this.count(measure, count, onCount).finally(() => (this.underWay -= 1));
    }
    return measure.bytes;
  }

  private async count(
    measure: Measure,
    count: () => Promise<string>,
    onCount: (bytes: number, before: number | null) => void,
  ): Promise<void> {
    try {
      const kibibytes = Number(/^(\d+)/.exec(await count())?.[1] ?? NaN);
      if (!Number.isFinite(kibibytes)) return;
      const before = measure.bytes;
      measure.bytes = kibibytes * 1024;
      onCount(measure.bytes, before);
    } catch {
      // The container is going, or has no `du`: what was counted before stands.
    }
  }
}
