import { type Place } from '@devpocket/runtime';
import { type ApiClient, pathOf } from './api-client';
import { type KubeObject, type Manifest } from './kube-objects';
import { type LogLine } from '@devpocket/container-runtime';
import { baseName, LABEL, namespaceOf, selectorOf } from './names';
import { decodeLog, encodeLog, lastOf, merge } from '@devpocket/container-runtime';

interface LogSecret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface SavedLog {
  readonly lines: readonly LogLine[];
  readonly parts: number;
}

const PART = 'devpocket.io/part';

/**
 * The last of the log of what has ended, in Secrets beside the volume: a log may hold secrets, and needs no pod to be read. Goes
 * with the environment.
 */
export class LogArchive {
  private readonly saving = new Map<string, Promise<void>>();

  constructor(
    private readonly api: ApiClient,
    private readonly install: string,
  ) {}

  /** What is being saved here is waited for. @throws ApiError */
  async read(place: Place): Promise<readonly LogLine[]> {
    await this.saving.get(place.environmentId)?.catch(() => undefined); // told to whoever saves
    return (await this.load(place)).lines;
  }

  /**
   * Adds lines and drops what is more than is kept.
   * @param before as it stood after the last of our own writes, where there was one
   * @throws ApiError
   */
  async append(place: Place, lines: readonly LogLine[], before?: SavedLog): Promise<SavedLog> {
    const { lines: known, parts: least } = before ?? (await this.load(place));
    const kept = lastOf(merge([...known, ...lines]));
    const parts = encodeLog(kept, least);
    const namespace = namespaceOf(this.install, place.userId);
    const labels = {
      [LABEL.environment]: place.environmentId,
      [LABEL.install]: this.install,
      [LABEL.user]: place.userId,
      [PART]: 'log',
    };
    for (const [number, part] of parts.entries()) {
      const manifest: Manifest = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: `${baseName(place.environmentId)}-log-${number}`, namespace, labels },
        type: 'devpocket.io/log',
        data: { log: part.toString('base64') },
      };
      await this.api.apply(manifest);
    }
    return { lines: kept, parts: parts.length };
  }

  /** Resolves when nothing is being saved, or after `ms`. */
  async settled(ms: number): Promise<void> {
    const late = new Promise((resolve) => setTimeout(resolve, ms).unref());
    await Promise.race([Promise.allSettled(this.saving.values()), late]);
  }

  /** Marks the time in which this environment's log is being saved. */
  during(place: Place, work: Promise<void>): Promise<void> {
    const done = work.finally(() => {
      if (this.saving.get(place.environmentId) === done) this.saving.delete(place.environmentId);
    });
    this.saving.set(place.environmentId, done);
    return done;
  }

  private async load(place: Place): Promise<SavedLog> {
    const namespace = namespaceOf(this.install, place.userId);
    const query = { labelSelector: `${selectorOf(place, this.install)},${PART}=log` };
    const { items } = await this.api.list<LogSecret>(pathOf('Secret', 'v1', namespace), { query });
    const parts = items.flatMap(({ data }) => (data?.log === undefined ? [] : [Buffer.from(data.log, 'base64')]));
    return { lines: decodeLog(parts), parts: parts.length };
  }
}
