import { type LogEntry, type LogLevel, type LogSource } from '@devpocket/runtime';
import { appendFileSync, existsSync, readFileSync, renameSync, statSync } from 'node:fs';

/** A line is cut here (contract §6). */
export const MOST_LINE_BYTES = 16_384;
/** When the current file is this large it becomes the previous one: the last 2–4 MiB are kept. */
const ROTATE_BYTES = 2 * 1_048_576;

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
}

const previous = (file: string): string => `${file}.1`;

/** Appends lines; each has a number that is never used again, so a cursor survives restarts and rotation. */
export class LogWriter {
  private next: number;

  constructor(private readonly file: string) {
    this.next = (readLog(file).at(-1)?.number ?? 0) + 1;
  }

  append(source: LogSource, level: LogLevel, incarnation: number, message: string): void {
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
    if (existsSync(this.file) && statSync(this.file).size > ROTATE_BYTES) renameSync(this.file, previous(this.file));
    appendFileSync(this.file, JSON.stringify(line) + '\n', { mode: 0o600 });
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

/** Every kept line, oldest first. A line that a crash cut is left out. */
export function readLog(file: string): readonly (LogLine & { readonly number: number })[] {
  return [previous(file), file].flatMap((part) => {
    if (!existsSync(part)) return [];
    return readFileSync(part, 'utf8')
      .split('\n')
      .flatMap((text) => {
        const line = parse(text);
        if (!line) return [];
        return [
          {
            type: 'log' as const,
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
      });
  });
}

function parse(text: string): StoredLine | null {
  if (text === '') return null;
  try {
    return JSON.parse(text) as StoredLine;
  } catch {
    return null;
  }
}
