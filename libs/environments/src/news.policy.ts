import { type Environment, sameShown } from './environment';
import { type AlertLevel, type News, type WatchedResource } from './environment.events';

type Changed = Pick<Environment, 'id' | 'userId' | 'wanted' | 'shown' | 'statusVersion'>;

function base({ id, userId, statusVersion }: Omit<Changed, 'wanted' | 'shown'>, timestamp: Date) {
  return { environmentId: id, userId, timestamp, statusVersion };
}

/** What is to be told of a write that made `after` of `before`; nothing when nothing that shows changed. @param before null: it was created */
export function newsOf(before: Pick<Environment, 'wanted' | 'shown'> | null, after: Changed, at: Date): readonly News[] {
  const { shown, statusVersion } = after;
  const news: News[] = [];
  const statusChanged =
    before?.shown.status !== shown.status ||
    before.shown.reason !== shown.reason ||
    before.shown.message !== shown.message ||
    before.wanted.desired !== after.wanted.desired;
  if (statusChanged) {
    const { status, reason, message } = shown;
    const { desired } = after.wanted;
    const event = { ...base(after, at), type: 'environment.status', status, desired, reason, message } as const;
    news.push({ key: `${statusVersion}:status`, event });
  }
  const { phase, progress } = shown;
  if (
    before &&
    !sameShown(before.shown, shown) &&
    phase !== null &&
    (before.shown.phase !== phase || before.shown.progress !== progress)
  ) {
    const event = { ...base(after, at), type: 'environment.progress', phase, progress: progress ?? 0 } as const;
    news.push({ key: `${statusVersion}:progress`, event });
  }
  return news;
}

/** However often and by whom: there is one end. */
export function deletedNews(environment: Changed, at: Date): News {
  return { key: 'deleted', event: { ...base(environment, at), type: 'environment.deleted' } };
}

/** Once for each stop time, on however many replicas. */
export function idleNews(environment: Changed, stopAt: Date, minutesLeft: number, at: Date): News {
  const event = { ...base(environment, at), type: 'environment.idle_warning', stopAt, minutesLeft } as const;
  return { key: `idle:${stopAt.getTime()}:${minutesLeft}`, event };
}

export function resourceNews(
  environment: Changed,
  { resource, percent, level }: { resource: WatchedResource; percent: number; level: AlertLevel | 'cleared' },
  at: Date,
): News {
  const event = { ...base(environment, at), type: 'resource.warning', resource, percent, level } as const;
  return { key: `resource:${resource}:${at.getTime()}`, event };
}
