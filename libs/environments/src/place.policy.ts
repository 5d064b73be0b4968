/** How many of the lowest are drawn from. */
const SPREAD = 64;

/**
 * One of the free places that all who read this may take at once, drawn by lot: many callers at once do not all want the same one. There
 * never are more of them than the limit still allows, so at the last place callers pick the same again and the index decides.
 * @returns null when the limit is reached
 */
export function freePlace(taken: readonly number[], limit: number, random: () => number = Math.random): number | null {
  const held = new Set(taken);
  const free: number[] = [];
  const count = Math.min(SPREAD, limit - taken.length);
  for (let place = 0; free.length < count; place += 1) if (!held.has(place)) free.push(place);
  return free[Math.floor(random() * free.length)] ?? null;
}
