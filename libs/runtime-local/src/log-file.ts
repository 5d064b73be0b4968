import { type LogEntry, type LogLevel, type LogSource } from '@devpocket/runtime';
import { appendFileSync, closeSync, existsSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';

/** A line is cut here (contract §6). */
export const MOST_LINE_BYTES = 16_384;
/** When the current file is this large it becomes the previous one: the last 1–2 MiB are kept. */
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

  /** @param onFault hears of lines that could not be written: a full disk costs lines, never the process */
  constructor(
    private readonly file: string,
    private readonly onFault: (error: unknown) => void,
  ) {
    this.next = (new LogReader(file).next().at(-1)?.number ?? 0) + 1;
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
      if (existsSync(this.file) && statSync(this.file).size > ROTATE_BYTES) renameSync(this.file, previous(this.file));
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

/** Reads every kept line, oldest first, and then what is added. A line that a crash cut is left out. */
export class LogReader {
  private inode = 0;
  private offset = 0;

  constructor(private readonly file: string) {}

  /** Costs next to nothing while there is nothing new. @param most the last so many are enough, of each file */
  next(most = Infinity): readonly LogLine[] {
    const now = statSync(this.file, { throwIfNoEntry: false });
    if (!now || (now.ino === this.inode && now.size === this.offset)) return [];
    if (now.ino === this.inode && now.size > this.offset) return this.read(this.file, most);
    const rotated = statSync(previous(this.file), { throwIfNoEntry: false });
    if (rotated?.ino !== this.inode) this.offset = 0;
    const lines = rotated ? this.read(previous(this.file), most) : [];
    this.inode = now.ino;
    this.offset = 0;
    return [...lines, ...this.read(this.file, most)];
  }

  private read(file: string, most: number): readonly LogLine[] {
    const text = readFrom(file, this.offset);
    const whole = text.subarray(0, text.lastIndexOf('\n') + 1);
    this.offset += whole.length;
    return whole.toString('utf8').split('\n').slice(0, -1).slice(-most).flatMap(parse);
  }
}

function readFrom(file: string, offset: number): Buffer {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(Math.max(0, fstatSync(fd).size - offset));
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset));
  } finally {
    closeSync(fd);
  }
}

function parse(text: string): readonly LogLine[] {
  if (text === '') return [];
  try {
    const line = JSON.parse(text) as StoredLine;
    return [
      {
        type: 'log',
        timestamp: new Date(line.t),
        level: line.l,
        message: line.m,
        truncated: line.c === true,
        source: line.s,
        cursor: String(line.n),
        incarnation: line.i,
        number: line.n,
      },
    ];
  } catch {
    return [];
  }
}
