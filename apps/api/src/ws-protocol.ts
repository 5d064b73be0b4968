import { SUBPROTOCOL } from '@devpocket/websocket';

const SPOKEN: readonly string[] = Object.values(SUBPROTOCOL);

/**
 * The subprotocol to answer with: the first of those that a client offers that is spoken here, never a `bearer.` item, which would
 * come back in a header. Null when there is none.
 */
export function selectProtocol(offered: readonly string[]): string | null {
  return offered.find((name) => SPOKEN.includes(name)) ?? null;
}
