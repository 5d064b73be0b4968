import { gunzipSync, gzipSync } from 'node:zlib';
import { comparePositions, cursorOf, type LogLine, positionOf } from './log-lines';

/** Of a stopped environment so much of the log is kept (contract §4). */
export const SAVED_BYTES = 1_048_576;
/** What a line costs beside its text: its cursor. */
const LINE_COST = 48;
/** Of one part, uncompressed: a Secret may not be above 1 MiB, and text that does not compress is no exception. */
const PART_BYTES = 786_432;

/** The end of a log that is worth keeping. */
export function lastOf(lines: readonly LogLine[]): readonly LogLine[] {
  let left = SAVED_BYTES;
  let from = lines.length;
  while (from > 0 && (left -= costOf(lines[from - 1])) >= 0) from -= 1;
  return lines.slice(from);
}

/**
 * Parts that can each be read alone, so that a write cut off between two leaves nothing unreadable.
 * @param least so many parts were there before; those that are not needed any more become empty
 */
export function encodeLog(lines: readonly LogLine[], least = 1): readonly Buffer[] {
  const parts: string[][] = [[]];
  let size = 0;
  for (const line of lines) {
    size += costOf(line);
    if (size > PART_BYTES) {
      parts.push([]);
      size = costOf(line);
    }
    parts.at(-1)?.push(`${cursorOf(line.position)} ${line.truncated ? 1 : 0}${line.message}`);
  }
  while (parts.length < least) parts.push([]);
  return parts.map((part) => gzipSync(part.join('\n')));
}

/**
 * What the parts hold together: in order, each line once, also where some are from an older write than others.
 * @throws Error for what is no such part
 */
export function decodeLog(parts: readonly Buffer[]): readonly LogLine[] {
  const lines = parts.flatMap((part) =>
    gunzipSync(part, { maxOutputLength: 2 * PART_BYTES })
      .toString('utf8')
      .split('\n')
      .flatMap(parse),
  );
  return merge(lines);
}

export function merge(lines: readonly LogLine[]): readonly LogLine[] {
  const sorted = [...lines].sort((a, b) => comparePositions(a.position, b.position));
  return sorted.filter((line, at) => {
    const before = sorted[at - 1];
    return !before || comparePositions(before.position, line.position) !== 0;
  });
}

function parse(text: string): LogLine[] {
  const space = text.indexOf(' ');
  const position = space < 0 ? null : positionOf(text.slice(0, space));
  return position ? [{ position, message: text.slice(space + 2), truncated: text[space + 1] === '1' }] : [];
}

function costOf(line: LogLine | undefined): number {
  return Buffer.byteLength(line?.message ?? '') + LINE_COST;
}
