import { type Clock } from '@devpocket/kernel';
import { type Place } from '@devpocket/runtime';
import { type ApiClient } from './api-client';
import { execute } from './exec-stream';
import { type Pod } from './kube-objects';
import { CONTAINER } from './names';
import { WORKSPACE_PATH } from '@devpocket/container-runtime';

const AT_MOST_EVERY_MS = 300_000;
const LONGEST_MS = 60_000;
const AT_ONCE = 4;

interface Measure {
  bytes: number | null;
  at: number;
  /** Was there activity since? A volume that nobody works on does not grow. */
  stale: boolean;
}

/** Counts a volume from within its pod, where the kubelet does not tell. */
export class StorageMeter {
  private readonly measures = new Map<string, Measure>();
  private underWay = 0;

  constructor(
    private readonly api: ApiClient,
    private readonly clock: Clock,
  ) {}

  /** Somebody works in it. */
  touch(environmentId: string): void {
    const measure = this.measures.get(environmentId);
    if (measure) measure.stale = true;
  }

  forget(environmentId: string): void {
    this.measures.delete(environmentId);
  }

  /** The last count, null before the first; begins another where one is due. */
  read({ environmentId }: Place, pod: Pod): number | null {
    const measure = this.measures.get(environmentId) ?? { bytes: null, at: -Infinity, stale: true };
    this.measures.set(environmentId, measure);
    const now = this.clock.millis();
    if (measure.stale && now - measure.at >= AT_MOST_EVERY_MS && this.underWay < AT_ONCE) {
      measure.at = now;
      measure.stale = false;
      this.underWay += 1;
      void this.count(pod, measure).finally(() => (this.underWay -= 1));
    }
    return measure.bytes;
  }

  private async count(pod: Pod, measure: Measure): Promise<void> {
    const { namespace = '', name = '' } = pod.metadata ?? {};
    const command = ['du', '-sk', WORKSPACE_PATH];
    try {
      const { stdout } = await execute(this.api, { namespace, pod: name, container: CONTAINER, command }, LONGEST_MS);
      const kibibytes = Number(/^(\d+)/.exec(stdout)?.[1] ?? NaN);
      if (Number.isFinite(kibibytes)) measure.bytes = kibibytes * 1024;
    } catch {
      // The pod is going, or has no `du`: what was counted before stands.
    }
  }
}
