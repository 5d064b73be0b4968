/** Subprotocols that this version speaks, by preference. */
const SPOKEN = ['devpocket.v1.json'];

/**
 * The subprotocol to answer with, from what a client offers: never a `bearer.` item, which would come back in a header. Null when
 * there is none that is spoken here.
 */
export function selectProtocol(offered: readonly string[]): string | null {
  return SPOKEN.find((name) => offered.includes(name)) ?? null;
}
