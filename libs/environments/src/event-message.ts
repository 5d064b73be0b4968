import { type EnvironmentEvent } from './environment.events';
import { type FeedItem } from './event-feed';

type Message = Readonly<Record<string, unknown>>;

/** What clients read, in a stream of either kind (contract §4, `GET /events`). */
export function toEventMessage(item: Exclude<FeedItem, { type: 'start' | 'quiet' }>): Message {
  const { id } = item;
  if (item.type === 'reset') {
    const timestamp = item.timestamp.toISOString();
    return { type: 'sync.reset', id, timestamp, environment_id: null, status_version: null, reason: item.reason };
  }
  const { event } = item;
  return {
    type: event.type,
    id,
    timestamp: event.timestamp.toISOString(),
    environment_id: event.environmentId,
    status_version: event.statusVersion,
    ...detailsOf(event),
  };
}

function detailsOf(event: EnvironmentEvent): Message {
  switch (event.type) {
    case 'environment.status': {
      const { status, desired, reason, message } = event;
      return { status, desired_status: desired, status_reason: reason, status_message: message };
    }
    case 'environment.progress':
      return { phase: event.phase, progress: event.progress };
    case 'environment.idle_warning':
      return { stop_at: event.stopAt.toISOString(), minutes_left: event.minutesLeft };
    case 'resource.warning':
      return { resource: event.resource, percent: event.percent, level: event.level };
    case 'environment.deleted':
      return {};
  }
}
