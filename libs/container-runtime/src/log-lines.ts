import { type LogEntry } from '@devpocket/runtime';
import { SYSTEM_MARK } from './container-scripts';

/** A line is cut here (contract §6). */
export const MOST_LINE_BYTES = 16_384;

/**
 * Where a line is in the log of an environment: by the time that the container runtime noted for it, to the nanosecond, and not
 * by a count, which would shift when a file is rotated. `index` tells lines of the same nanosecond apart.
 */
export interface LogPosition {
  readonly incarnation: number;
  /** 0: the startup commands, 1: the environment. */
  readonly stage: 0 | 1;
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  readonly index: number;
}

export interface LogLine {
  readonly position: LogPosition;
  readonly message: string;
  readonly truncated: boolean;
}

export function comparePositions(a: LogPosition, b: LogPosition): number {
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation;
  if (a.stage !== b.stage) return a.stage - b.stage;
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.index - b.index;
}

export function cursorOf({ incarnation, stage, time, index }: LogPosition): string {
  return `${incarnation}.${stage}.${time}.${index}`;
}

/** Null for what is no cursor of ours. */
export function positionOf(cursor: string): LogPosition | null {
  const [, incarnation, stage, time, index] = /^(\d{1,10})\.([01])\.(\d{1,19})\.(\d{1,9})$/.exec(cursor) ?? [];
  if (incarnation === undefined || time === undefined) return null;
  return { incarnation: Number(incarnation), stage: stage === '0' ? 0 : 1, time: BigInt(time), index: Number(index) };
}

/** Lines of one container as the API gives them with `timestamps`, in order. */
export class LogReader {
  private last: { time: bigint; index: number } | null = null;

  constructor(
    private readonly incarnation: number,
    private readonly stage: 0 | 1,
  ) {}

  /** Null for what bears no time: words of the kubelet's about the log, not of the log. */
  read(raw: Buffer): LogLine | null {
    const space = raw.indexOf(32);
    const time = space < 0 ? null : nanosOf(raw.toString('latin1', 0, space));
    if (time === null) return null;
    const index = this.last?.time === time ? this.last.index + 1 : 0;
    this.last = { time, index };
    let bytes = raw.subarray(space + 1);
    if (bytes.at(-1) === 13) bytes = bytes.subarray(0, -1);
    const position = { incarnation: this.incarnation, stage: this.stage, time, index };
    return { position, message: cut(bytes), truncated: bytes.length > MOST_LINE_BYTES };
  }
}

export function toEntry({ position, message, truncated }: LogLine): LogEntry {
  const system = position.stage === 1 && message.startsWith(SYSTEM_MARK);
  return {
    type: 'log',
    timestamp: new Date(Number(position.time / 1_000_000n)),
    level: 'info',
    message: system ? message.slice(SYSTEM_MARK.length) : message,
    truncated,
    source: position.stage === 0 ? 'startup' : system ? 'system' : 'container',
    cursor: cursorOf(position),
  };
}

/** The whole second in which it was, as the API takes it: lines of that second come again and are left out by position. */
export function secondOf(time: bigint): string {
  return new Date(Number(time / 1_000_000_000n) * 1000).toISOString().replace('.000Z', 'Z');
}

/** RFC 3339 with up to nine digits of a second and any offset. */
function nanosOf(text: string): bigint | null {
  const [, whole, fraction = '', zone] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  if (whole === undefined || zone === undefined) return null;
  return BigInt(Date.parse(whole + zone)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

/** At most so many bytes of UTF-8, no character split. */
function cut(bytes: Buffer): string {
  if (bytes.length <= MOST_LINE_BYTES) return bytes.toString('utf8');
  let end = MOST_LINE_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
