import { STATUSES } from '@devpocket/environments';
import { PHASES, STATUS_REASONS } from '@devpocket/runtime';
import {
  AUTH,
  errorMessage,
  ID,
  type Message,
  type Messages,
  NUMBER,
  oneOf,
  orNull,
  PING,
  PONG,
  REFUSALS,
  TEXT,
  TIME,
} from './messages';
import { type Json } from './json-schema';

/** What log and event sockets take. */
export const FROM_LISTENER: Messages = { ping: PING, auth: AUTH };

/** Contract §6, logs. */
export const FROM_LOG_SERVER: Messages = {
  log: {
    summary: 'One line, oldest first',
    members: {
      timestamp: TIME,
      level: oneOf('debug', 'info', 'warn', 'error'),
      message: TEXT,
      source: oneOf('system', 'startup', 'container'),
      cursor: { ...TEXT, description: 'For `after`' },
      'truncated?': { const: true, description: 'The line was longer than 16 KiB' },
    },
    example: { timestamp: '2027-01-31T12:00:00.000Z', level: 'info', message: 'ready', source: 'container', cursor: '1.42' },
  },
  caught_up: { summary: 'All that there was has been sent', members: {}, example: {} },
  restarted: { summary: 'The container began anew', members: {}, example: {} },
  pong: PONG,
  error: errorMessage(['bad_message', 'unknown_type', 'validation_error', 'gone', 'environment_not_running', ...REFUSALS]),
};

const EXAMPLE = {
  id: 'MTc5ODcyNTYwMDAwMA',
  timestamp: '2027-01-31T12:00:00.000Z',
  environment_id: '66b1f0a2c3d4e5f601234567',
  status_version: 9,
};

const event = (summary: string, members: Readonly<Record<string, Json>>, example: Json): Message => ({
  summary,
  members: {
    id: { ...TEXT, description: 'The cursor, for `after` and `Last-Event-ID`' },
    timestamp: TIME,
    environment_id: ID,
    status_version: NUMBER,
    ...members,
  },
  example: { ...EXAMPLE, ...example },
});

/** Contract §4, events; the same over the WebSocket and as server-sent events. */
export const EVENTS: Messages = {
  'environment.status': event(
    'Its status, or what is wanted of it',
    {
      status: oneOf(...STATUSES),
      desired_status: oneOf('running', 'stopped', 'deleted'),
      status_reason: oneOf(...STATUS_REASONS, null),
      status_message: orNull(TEXT),
    },
    { status: 'running', desired_status: 'running', status_reason: null, status_message: null },
  ),
  'environment.progress': event(
    'How far a start has come',
    { phase: oneOf(...PHASES), progress: { type: 'integer', minimum: 0, maximum: 100 } },
    { phase: 'pulling_image', progress: 40 },
  ),
  'environment.deleted': event('Container and volume are gone', {}, {}),
  'environment.idle_warning': event(
    'It will be stopped for want of activity',
    { stop_at: TIME, minutes_left: NUMBER },
    { stop_at: '2027-01-31T12:05:00.000Z', minutes_left: 5 },
  ),
  'resource.warning': event(
    'It comes near a limit, or is away from it again',
    {
      resource: oneOf('cpu', 'memory', 'storage'),
      percent: { type: 'number', minimum: 0 },
      level: oneOf('warning', 'critical', 'cleared'),
    },
    { resource: 'storage', percent: 91, level: 'warning' },
  ),
  'sync.reset': {
    summary: 'The cursor is too old: read the environments anew, then go on from here',
    members: { id: TEXT, timestamp: TIME, environment_id: { type: 'null' }, status_version: { type: 'null' }, 'reason?': TEXT },
    example: { ...EXAMPLE, environment_id: null, status_version: null },
  },
};

export const FROM_EVENT_SERVER: Messages = {
  ...EVENTS,
  pong: PONG,
  error: errorMessage(['bad_message', 'unknown_type', 'validation_error', ...REFUSALS]),
};
