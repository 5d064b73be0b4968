import { type Place } from '@devpocket/runtime';
import { type Pod } from './kube-objects';
import { type LogArchive, type SavedLog } from './log-archive';
import { type LogLine, type LogPosition } from '@devpocket/container-runtime';
import { type PodLogs } from './pod-logs';
import { lastOf } from '@devpocket/container-runtime';

/** What is read before a pod may end, and what it says while it ends. A kubelet that does not answer stops nothing. */
const BEFORE_MS = 10_000;
const REST_MS = 90_000;
const TRIM_EVERY_LINES = 50_000;

interface Saved {
  /** Where the log was read to. */
  readonly last: LogPosition | null;
  readonly log: SavedLog | undefined;
}

const NOTHING: Saved = { last: null, log: undefined };

/** Saves the log of a pod that is about to go: what there is before it is told to, so that no crash loses it, then the rest. */
export class LogSaver {
  constructor(
    private readonly logs: PodLogs,
    private readonly archive: LogArchive,
    private readonly warn: (message: string) => void,
  ) {}

  /** @returns saves the rest; to be called when the pod was told to end */
  async before(place: Place, pod: Pod): Promise<() => void> {
    const saved = await this.save(place, pod, NOTHING, false).catch((error: unknown) => {
      this.failed(place, error);
      return NOTHING;
    });
    const ends = pod.status?.phase === 'Running' || pod.status?.phase === 'Pending';
    return () => {
      if (!ends) return;
      const rest = this.save(place, pod, saved, true).then(() => undefined);
      this.archive.during(place, rest).catch((error: unknown) => this.failed(place, error));
    };
  }

  private async save(place: Place, pod: Pod, { last, log }: Saved, follow: boolean): Promise<Saved> {
    const signal = AbortSignal.timeout(follow ? REST_MS : BEFORE_MS);
    let lines: LogLine[] = [];
    for (const stage of [0, 1] as const) {
      for await (const line of this.logs.container(pod, stage, { from: last, follow }, signal)) {
        lines.push(line);
        if (lines.length % TRIM_EVERY_LINES === 0) lines = [...lastOf(lines)];
      }
    }
    if (lines.length === 0) return { last, log };
    return { last: lines.at(-1)?.position ?? last, log: await this.archive.append(place, lines, log) };
  }

  private failed(place: Place, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.warn(`The log of environment ${place.environmentId} could not be saved in full: ${why}`);
  }
}
