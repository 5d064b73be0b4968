import { type Trouble } from './sight';

/** How long somebody whose volume was full when it started has to make room. */
const ROOM_MS = 600_000;
/** Beyond the limit at once: it fills faster than anybody makes room. */
const BEYOND = 1.1;

export interface Filling {
  /** What the volume holds and may hold, in bytes, and what it held when this incarnation began, as far as that is known. */
  readonly bytes: number;
  readonly limit: number;
  readonly first: number;
  /** Since the incarnation was first counted. */
  readonly ageMs: number;
}

/** Is an environment to be ended whose volume is held to its size by counting alone? Who starts it again is given time to make room. */
export function overfull({ bytes, limit, first, ageMs }: Filling): Trouble | null {
  if (bytes <= limit) return null;
  if (ageMs < ROOM_MS && bytes <= BEYOND * Math.max(limit, first)) return null;
  const megabytes = (value: number): string => `${Math.ceil(value / 2 ** 20)} MiB`;
  const message = `The volume holds ${megabytes(bytes)}, and may hold ${megabytes(limit)}; a start leaves ten minutes to make room`;
  return { reason: 'volume_full', message, retryable: true };
}
