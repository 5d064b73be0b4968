import { STATUSES } from '@devpocket/environments';
import { STATUS_REASONS } from '@devpocket/runtime';
import {
  AUTH,
  errorMessage,
  ID,
  type Messages,
  NUMBER,
  oneOf,
  orNull,
  PING,
  PONG,
  position,
  REFUSALS,
  SIZE,
  TEXT,
  TIME,
} from './messages';

const FLAG = { type: 'boolean' };
const CLIENT_ID = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' };
const PASTE_ID = { type: ['string', 'number'], description: 'The client’s; one that was seen before is not pasted again' };
const STATUS = oneOf(...STATUSES);

/** Contract §6, from client. */
export const FROM_TERMINAL_CLIENT: Messages = {
  input: {
    summary: 'Types; with `seq` it is acknowledged, and never typed twice',
    members: {
      data: { ...TEXT, description: 'At most 1 MiB as UTF-8' },
      'seq?': position('The client’s count of input bytes, with these'),
    },
    example: { data: 'ls\n', seq: 3 },
  },
  resize: {
    summary: 'The size of this client’s screen',
    members: { cols: SIZE, rows: SIZE },
    example: { cols: 80, rows: 24 },
  },
  ping: PING,
  ack: {
    summary: 'Output up to `seq` was rendered',
    members: { seq: position('Of output') },
    example: { seq: 1024 },
  },
  control: {
    summary: 'Takes or releases the decision on the size',
    members: { action: oneOf('take', 'release') },
    example: { action: 'take' },
  },
  key: {
    summary: 'A key, encoded for the terminal’s present modes; counts as one byte of input',
    members: {
      key: { ...TEXT, description: 'As in DOM `KeyboardEvent.key`' },
      'ctrl?': FLAG,
      'alt?': FLAG,
      'shift?': FLAG,
      'meta?': FLAG,
      'location?': { type: 'integer', minimum: 0, maximum: 3, description: 'As in DOM; 3 is the keypad' },
      'seq?': position('As of `input`'),
    },
    example: { key: 'ArrowUp', shift: true },
  },
  paste: {
    summary: 'Pastes, bracketed if the application asked for it',
    members: { id: PASTE_ID, data: TEXT },
    example: { id: 'p1', data: 'echo hello' },
  },
  paste_cancel: { summary: 'Pastes no more of it', members: { id: PASTE_ID }, example: { id: 'p1' } },
  screen: { summary: 'Asks for the screen as it stands', members: {}, example: {} },
  auth: AUTH,
};

const CODES = [
  'bad_message',
  'unknown_type',
  'bad_resize',
  'input_too_large',
  'input_gap',
  'input_lost',
  'read_only',
  'bad_key',
  'screen_unavailable',
  'bad_after',
  'replaced',
  'environment_not_running',
  'session_limit',
  ...REFUSALS,
];

/** Contract §6, from server. */
export const FROM_TERMINAL_SERVER: Messages = {
  welcome: {
    summary: 'The first message',
    members: {
      message: TEXT,
      environment: {
        type: 'object',
        required: ['id', 'name', 'template', 'status'],
        properties: { id: ID, name: TEXT, template: TEXT, status: STATUS },
      },
      session_id: ID,
      client_id: CLIENT_ID,
      resumed: FLAG,
      gap: position('Bytes that are missing between `after` and `seq`'),
      seq: position('Where the output that follows begins'),
      replay_until: position('Emulators answer nothing before it'),
      input_seq: position('Input of this client that was taken'),
      cols: SIZE,
      rows: SIZE,
      server_time: TIME,
    },
    example: {
      message: 'Connected to shop',
      environment: { id: '66b1f0a2c3d4e5f601234567', name: 'shop', template: 'ubuntu', status: 'running' },
      session_id: '66b1f0a2c3d4e5f601234568',
      client_id: '9f86d081884c7d65',
      resumed: false,
      gap: 0,
      seq: 0,
      replay_until: 0,
      input_seq: 0,
      cols: 80,
      rows: 24,
      server_time: '2027-01-31T12:00:00.000Z',
    },
  },
  output: {
    summary: 'What the shell printed; a character is never split',
    members: { data: TEXT, seq: position('PTY bytes so far, with these') },
    example: { data: 'hello\r\n', seq: 7 },
  },
  gap: {
    summary: 'A client that fell behind: so many bytes are skipped',
    members: { bytes: NUMBER, seq: position('Where output goes on') },
    example: { bytes: 4096, seq: 1_052_672 },
  },
  size: {
    summary: 'The size of the shell’s screen',
    members: { cols: SIZE, rows: SIZE, owner: orNull({ ...CLIENT_ID, description: 'The client that decides; null: nobody' }) },
    example: { cols: 80, rows: 24, owner: '9f86d081884c7d65' },
  },
  status: {
    summary: 'The environment has changed',
    members: {
      status: STATUS,
      desired_status: oneOf('running', 'stopped', 'deleted'),
      status_reason: oneOf(...STATUS_REASONS, null),
      status_message: orNull(TEXT),
      status_version: NUMBER,
    },
    example: { status: 'stopping', desired_status: 'stopped', status_reason: 'user', status_message: null, status_version: 9 },
  },
  exit: {
    summary: 'The shell has ended; a close follows',
    members: {
      code: orNull({ type: 'integer' }),
      signal: orNull(TEXT),
      reason: oneOf('exited', 'killed', 'environment_stopped', 'out_of_memory'),
    },
    example: { code: 0, signal: null, reason: 'exited' },
  },
  input_ack: { summary: 'Input up to `seq` was taken', members: { seq: position('Of input') }, example: { seq: 3 } },
  paste_done: {
    summary: 'The terminal took the paste',
    members: { id: PASTE_ID, bytes: NUMBER, 'cancelled?': { const: true, description: 'Only so much was pasted' } },
    example: { id: 'p1', bytes: 10 },
  },
  screen: {
    summary: 'Escape sequences that paint the screen as it stands at `seq`',
    members: { seq: position('Of output'), cols: SIZE, rows: SIZE, data: TEXT },
    example: { seq: 7, cols: 80, rows: 24, data: '\u001b[H\u001b[2Jhello' },
  },
  pong: PONG,
  error: errorMessage(CODES, {
    'expected?': position('What input goes on from (`input_gap`)'),
    'status?': STATUS,
    'id?': PASTE_ID,
    'limit?': { ...NUMBER, description: 'Bytes' },
  }),
};
