/** One line of what `POST /images/create` says. */
export interface PullMessage {
  readonly id?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number } | null;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string } | null;
}

/** Of a layer, fetching is most of the work. */
const FETCHED = 0.8;

/** How far a pull is, from what the engine says of each layer. Never goes back, also when another layer turns up. */
export class PullProgress {
  private readonly layers = new Map<string, number>();
  private most = 0;

  /** 0–1 */
  get share(): number {
    return this.most;
  }

  take({ id, status = '', progressDetail }: PullMessage): void {
    if (id === undefined) return;
    const done = this.doneOf(status, progressDetail ?? {});
    if (done === null) return;
    this.layers.set(id, Math.max(done, this.layers.get(id) ?? 0));
    const sum = [...this.layers.values()].reduce((total, one) => total + one, 0);
    this.most = Math.max(this.most, sum / this.layers.size);
  }

  /** Null for what is said of no layer, and for one that is there already: it is no work, and is told of before those that are. */
  private doneOf(
    status: string,
    { current = 0, total = 0 }: { readonly current?: number; readonly total?: number },
  ): number | null {
    const part = total > 0 ? Math.min(1, current / total) : 0;
    if (/^(Pulling fs layer|Waiting)/.test(status)) return 0;
    if (status.startsWith('Downloading')) return FETCHED * part;
    if (/^(Verifying Checksum|Download complete)/.test(status)) return FETCHED;
    if (status.startsWith('Extracting')) return FETCHED + (1 - FETCHED) * part;
    if (status.startsWith('Pull complete')) return 1;
    return null;
  }
}

/** Null for one that goes on well. */
export function failureIn({ error, errorDetail }: PullMessage): string | null {
  return errorDetail?.message ?? error ?? null;
}

/** As `POST /images/create` takes it: without a tag it would fetch all of them. */
export function pullQuery(image: string): { readonly fromImage: string; readonly tag?: string } {
  const hasTag = image.includes('@') || image.slice(image.lastIndexOf('/') + 1).includes(':');
  return hasTag ? { fromImage: image } : { fromImage: image, tag: 'latest' };
}
