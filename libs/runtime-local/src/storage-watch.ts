import { type Capabilities } from './capabilities';
import { folderUse, type FolderUse } from './folder';
import { statfs } from 'node:fs/promises';

const LOOK_MS = 2_000;
/** Where what is free has hardly changed. What one environment writes another may remove, so it is no proof. */
const QUIET_MS = 10_000;
/** Of the time, looks take at most one part in so many. */
const LOOK_SHARE = 4;
/** How often to ask the file system, which costs nothing, whether anything grows fast. */
const GLANCE_MS = 100;
/** Growth beyond the limit that is still forgiven, so that an environment that is full can be started to be cleaned up. */
const SLACK: FolderUse = { bytes: 1_048_576, files: 256 };
/** A file takes room on the disk even when it is empty, and there are only so many. */
const BYTES_PER_FILE = 4096;

export interface WatchedStorage {
  readonly folder: string;
  /** In bytes. */
  readonly limit: number;
  readonly capabilities: Capabilities;
}

/** Looks at what a workspace takes, and says when it is too much. */
export class StorageWatch {
  private before: FolderUse | null = null;
  private use: FolderUse | null = null;
  private lookedAt = 0;
  private lookTook = 0;
  private freeThen: FolderUse | null = null;
  private busy = false;
  private readonly timer: NodeJS.Timeout;
  private stopped = false;

  constructor(
    private readonly watched: WatchedStorage,
    private readonly onFull: (message: string) => void,
  ) {
    this.timer = setInterval(() => void this.glance(), GLANCE_MS);
    void this.glance();
  }

  get bytes(): number | null {
    return this.use?.bytes ?? null;
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
  }

  private async glance(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      if (Date.now() - this.lookedAt < this.lookTook * LOOK_SHARE) return;
      const free = await this.free();
      const { bytes: grown, files } = difference(this.freeThen, free);
      const left = this.watched.limit - (this.use?.bytes ?? 0);
      const isQuiet = Math.abs(grown) < SLACK.bytes && Math.abs(files) < SLACK.files;
      if (Date.now() - this.lookedAt < (isQuiet ? QUIET_MS : LOOK_MS) && grown < left / 2) return;
      this.freeThen = free;
      await this.look();
    } finally {
      this.busy = false;
    }
  }

  private async look(): Promise<void> {
    const begun = performance.now();
    const { folder, limit, capabilities } = this.watched;
    const use = await folderUse(folder, capabilities).catch(() => null);
    this.lookTook = performance.now() - begun;
    this.lookedAt = Date.now();
    if (!use || this.stopped) return;
    this.use = use;
    this.before ??= use;
    const mostFiles = Math.floor(limit / BYTES_PER_FILE);
    if (use.bytes > Math.max(limit, this.before.bytes + SLACK.bytes))
      this.onFull(`Its storage is full: ${use.bytes} of ${limit} bytes`);
    else if (use.files > Math.max(mostFiles, this.before.files + SLACK.files))
      this.onFull(`Its storage is full: ${use.files} of ${mostFiles} files`);
  }

  private async free(): Promise<FolderUse | null> {
    try {
      const { bavail, bsize, ffree } = await statfs(this.watched.folder);
      return { bytes: bavail * bsize, files: ffree };
    } catch {
      return null; // looked at as often as what changes
    }
  }
}

function difference(before: FolderUse | null, now: FolderUse | null): FolderUse {
  return before && now ? { bytes: before.bytes - now.bytes, files: before.files - now.files } : { bytes: 0, files: Infinity };
}
