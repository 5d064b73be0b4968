/** The lowest place that is free, so that callers who read the same pick the same and the index decides; null when the limit is reached. */
export function freePlace(taken: readonly number[], limit: number): number | null {
  const [first = null] = freePlaces(taken, limit, 1);
  return first;
}

/** How many of the lowest are drawn from. */
const SPREAD = 64;

/**
 * One of the free places that all who read this may take at once, drawn by lot: many callers at once do not all want the same one. There
 * never are more of them than the limit still allows, so at the last place callers pick the same again and the index decides.
 */
export function freePlaceAmongMany(taken: readonly number[], limit: number, random: () => number = Math.random): number | null {
  const free = freePlaces(taken, limit, SPREAD);
  return free[Math.floor(random() * free.length)] ?? null;
}

/** The lowest that are free, at most as many as the limit still allows. */
function freePlaces(taken: readonly number[], limit: number, most: number): readonly number[] {
  const held = new Set(taken);
  const free: number[] = [];
  const count = Math.min(most, limit - taken.length);
  for (let place = 0; free.length < count; place += 1) if (!held.has(place)) free.push(place);
  return free;
}
