import { type AlertLevel, WATCHED_RESOURCES, type WatchedResource } from './environment.events';

/** In percent of the limits; null: not readable. */
export interface UsageReading {
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly storage: number | null;
}

/** Percent of the limit from which a level is reached, and below which it is left again. */
const LEVELS = {
  warning: { from: 80, below: 75 },
  critical: { from: 95, below: 90 },
} as const;

/** How long a level has to be reached without a break before it is told: a build may take all of the cpu for a moment. */
const SUSTAINED_MS: Readonly<Record<WatchedResource, number>> = { cpu: 60_000, memory: 0, storage: 0 };

export interface AlertState {
  /** As it was told. */
  readonly level: AlertLevel | null;
  /** Reached, and not told yet: the highest level that every reading since then has reached. */
  readonly pending: { readonly level: AlertLevel; readonly since: Date } | null;
}

export type Alerts = Readonly<Partial<Record<WatchedResource, AlertState>>>;

export interface Alert {
  readonly resource: WatchedResource;
  readonly percent: number;
  readonly level: AlertLevel | 'cleared';
}

const CALM: AlertState = { level: null, pending: null };
const RANK: Readonly<Record<AlertLevel, number>> = { warning: 1, critical: 2 };
const rank = (level: AlertLevel | null): number => (level === null ? 0 : RANK[level]);

/** The level of a reading, which leaves the level told so far only when it is clear of it. */
function levelOf(percent: number, told: AlertLevel | null): AlertLevel | null {
  const holds = (level: AlertLevel): boolean => percent >= (rank(told) >= RANK[level] ? LEVELS[level].below : LEVELS[level].from);
  if (holds('critical')) return 'critical';
  return holds('warning') ? 'warning' : null;
}

function step(before: AlertState, percent: number, at: Date, sustainedMs: number): AlertState {
  const level = levelOf(percent, before.level);
  if (level === null || rank(level) <= rank(before.level)) return { level, pending: null };
  const pending =
    before.pending === null
      ? { level, since: at }
      : { level: rank(level) < rank(before.pending.level) ? level : before.pending.level, since: before.pending.since };
  const sustained = at.getTime() - pending.since.getTime() >= sustainedMs;
  return sustained ? { level: pending.level, pending: null } : { level: before.level, pending };
}

/** What a reading makes of the alerts, and what is to be told of it. What could not be read stays as it is. */
export function nextAlerts(
  before: Alerts,
  usage: UsageReading,
  at: Date,
): { readonly alerts: Alerts; readonly told: readonly Alert[] } {
  const alerts: Partial<Record<WatchedResource, AlertState>> = { ...before };
  const told: Alert[] = [];
  for (const resource of WATCHED_RESOURCES) {
    const percent = usage[resource];
    if (percent === null) continue;
    const state = before[resource] ?? CALM;
    const next = step(state, percent, at, SUSTAINED_MS[resource]);
    alerts[resource] = next;
    if (next.level !== state.level) told.push({ resource, percent, level: next.level ?? 'cleared' });
  }
  return { alerts, told };
}

/** Is there no room left on the volume? Once so, until there is some again. */
export function isFull(storagePercent: number | null, before: boolean): boolean {
  return storagePercent === null ? before : storagePercent >= (before ? LEVELS.critical.from : 99);
}
