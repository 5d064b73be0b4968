import { hasCode } from '@devpocket/kernel';
import { type LogEntry, type LogLevel, type LogSource } from '@devpocket/runtime';
import { appendFileSync, existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** A line is cut here (contract §6). */
export const MOST_LINE_BYTES = 16_384;
/** The last 1–2 MiB are kept. */
const ROTATE_BYTES = 1_048_576;

interface StoredLine {
  readonly n: number;
  readonly t: number;
  readonly l: LogLevel;
  readonly s: LogSource;
  readonly i: number;
  readonly m: string;
  readonly c?: true;
}

export interface LogLine extends LogEntry {
  readonly incarnation: number;
  readonly number: number;
}

const previous = (file: string): string => `${file}.1`;

/** Appends lines; each has a number that is never used again, so a cursor survives restarts and rotation. */
export class LogWriter {
  private next: number;

  /**
   * @param onFault hears of lines that could not be written: a full disk costs lines, never the process
   * @param rotateBytes when the current file is this large it becomes the previous one
   */
  constructor(
    private readonly file: string,
    private readonly onFault: (error: unknown) => void,
    private readonly rotateBytes = ROTATE_BYTES,
  ) {
    this.next = (lastNumber(file) ?? lastNumber(previous(file)) ?? 0) + 1;
  }

  append(source: LogSource, level: LogLevel, incarnation: number, ...messages: readonly string[]): void {
    const stored = messages.map((message) => {
      const { text, cut } = cutLine(message);
      const line: StoredLine = {
        n: this.next,
        t: Date.now(),
        l: level,
        s: source,
        i: incarnation,
        m: text,
        ...(cut ? { c: true } : {}),
      };
      this.next += 1;
      return JSON.stringify(line) + '\n';
    });
    try {
      if (existsSync(this.file) && statSync(this.file).size > this.rotateBytes) renameSync(this.file, previous(this.file));
      appendFileSync(this.file, stored.join(''), { mode: 0o600 });
    } catch (error) {
      this.onFault(error);
    }
  }
}

/** At most `MOST_LINE_BYTES` of UTF-8, no character split. */
export function cutLine(message: string): { readonly text: string; readonly cut: boolean } {
  const bytes = Buffer.from(message);
  if (bytes.length <= MOST_LINE_BYTES) return { text: message, cut: false };
  let end = MOST_LINE_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return { text: bytes.toString('utf8', 0, end), cut: true };
}

const SLICE_BYTES = 65_536;
const NEWLINE = 10;

/** Reads a log on from where it stopped, a slice at a time: a long log delays nobody else. */
export class LogReader {
  /** Number of the newest line that was read. */
  last = 0;
  private inode = 0;
  private offset = 0;

  constructor(private readonly file: string) {}

  /** What has come since the last call; at first every kept line, oldest first. A line that a crash cut is left out. */
  async *news(): AsyncGenerator<readonly LogLine[]> {
    // In this order a rotation in between shows the same file twice rather than none.
    const current = await openIfThere(this.file);
    const older = await openIfThere(previous(this.file));
    try {
      const inode = current ? (await current.stat()).ino : 0;
      if (older && inode !== this.inode) {
        // It was rotated, or this is the first look.
        if ((await older.stat()).ino !== this.inode) this.offset = 0;
        yield* this.rest(older);
      }
      if (inode !== this.inode) this.offset = 0;
      this.inode = inode;
      if (current) yield* this.rest(current);
    } finally {
      await older?.close();
      await current?.close();
    }
  }

  private async *rest(handle: FileHandle): AsyncGenerator<readonly LogLine[]> {
    let begun = Buffer.alloc(0);
    for (;;) {
      const slice = Buffer.allocUnsafe(SLICE_BYTES);
      const { bytesRead } = await handle.read(slice, 0, SLICE_BYTES, this.offset + begun.length);
      if (bytesRead === 0) return; // a line that is still being written is read next time
      const bytes = Buffer.concat([begun, slice.subarray(0, bytesRead)]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      begun = bytes.subarray(end);
      this.offset += end;
      const lines = bytes.toString('utf8', 0, end).split('\n').flatMap(parse);
      const fresh = lines.filter(({ number }) => number > this.last);
      this.last = fresh.at(-1)?.number ?? this.last;
      if (fresh.length > 0) yield fresh;
    }
  }
}

function openIfThere(file: string): Promise<FileHandle | null> {
  return open(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
}

function lastNumber(file: string): number | null {
  if (!existsSync(file)) return null;
  const lines = readFileSync(file, 'utf8').split('\n');
  for (let at = lines.length - 1; at >= 0; at -= 1) {
    const [line] = parse(lines[at] ?? '');
    if (line) return line.number;
  }
  return null;
}

function parse(text: string): readonly LogLine[] {
  if (text === '') return [];
  try {
    const { n, t, l, s, i, m, c } = JSON.parse(text) as StoredLine;
    const entry = { type: 'log', timestamp: new Date(t), level: l, message: m, truncated: c === true, source: s } as const;
    return [{ ...entry, cursor: String(n), incarnation: i, number: n }];
  } catch {
    return [];
  }
}
