import { type Json } from './json-schema';
import { type Messages, schemaOf } from './messages';
import { EVENTS, FROM_EVENT_SERVER, FROM_LISTENER, FROM_LOG_SERVER } from './stream-messages';
import { FROM_TERMINAL_CLIENT, FROM_TERMINAL_SERVER } from './terminal-messages';

/** A socket or stream: what it says and takes. */
export interface Channel {
  readonly address: string;
  readonly description: string;
  readonly protocol: 'ws' | 'http';
  readonly query: Readonly<Record<string, Json>>;
  readonly fromClient: Messages;
  readonly fromServer: Messages;
  /** What goes over it beside JSON objects, by name. */
  readonly raw: Readonly<Record<string, { readonly from: 'client' | 'server'; readonly message: Json }>>;
}

const text = (description: string, more: Json = {}): Json => ({ type: 'string', description, ...more });
const whole = (description: string, more: Json = {}): Json => ({ type: 'integer', minimum: 0, description, ...more });
const CREDENTIALS: Readonly<Record<string, Json>> = {
  ticket: text('Of `POST /tickets`; counts before any other credential'),
  token: text('An access token or API key; better offered as the subprotocol `bearer.<token>`'),
};
const CODES =
  'A refused handshake opens, says `error` and closes: 4401 no good credential, 4403 origin, scope or unverified address, ' +
  '4404 not found, 4409 not running, 4429 too many, 1011 our fault, 1012 restarting. ';

const frame = (title: string, description: string): Json => ({
  title,
  contentType: 'application/octet-stream',
  payload: { type: 'string', contentEncoding: 'binary', description },
});
const FRAME = 'an opcode, a 6-byte big-endian `seq` (the position after these bytes), then the bytes';

export const CHANNELS: Readonly<Record<string, Channel>> = {
  terminal: {
    address: '/api/v1/ws/terminal/{environment_id}',
    description:
      CODES +
      'In the subprotocol `devpocket.v1.json` (or none) every frame is a JSON object; a text frame that is none is raw input. In ' +
      '`devpocket.v1.binary` opcode 0 is input, 1 output and 2 carries every other message as JSON. The shell outlives the socket: ' +
      'come back with `session_id`, `after` and `client_id`. 4408 replaced by the same client, 4410 the environment stopped.',
    protocol: 'ws',
    query: {
      ...CREDENTIALS,
      cols: whole('Of a new session 80', { minimum: 1, maximum: 1000 }),
      rows: whole('Of a new session 24', { minimum: 1, maximum: 1000 }),
      session_id: text('Joins this session; without it a new one begins', { pattern: '^[0-9a-f]{24}$' }),
      after: whole('The last `seq` seen; without it all that is kept comes'),
      client_id: text('Who comes back; `welcome` gives one', { pattern: '^[A-Za-z0-9._-]{1,64}$' }),
      ack: { const: '1', description: 'At most 256 KiB go unacknowledged' },
      mode: { const: 'view', description: 'Looks on' },
      deflate: { const: '1', description: 'Compressed where that pays' },
    },
    fromClient: FROM_TERMINAL_CLIENT,
    fromServer: FROM_TERMINAL_SERVER,
    raw: {
      rawInput: {
        from: 'client',
        message: { title: 'Raw input', contentType: 'text/plain', payload: text('A text frame that is no JSON object') },
      },
      inputFrame: { from: 'client', message: frame('Binary input', `Opcode 0: ${FRAME}; \`seq\` 0: not counted`) },
      outputFrame: { from: 'server', message: frame('Binary output', `Opcode 1: ${FRAME}`) },
    },
  },
  logs: {
    address: '/api/v1/ws/logs/{environment_id}',
    description: `${CODES}Without \`follow\` it closes with 1000 when all was sent; 4410 when the environment is deleted.`,
    protocol: 'ws',
    query: {
      ...CREDENTIALS,
      follow: { enum: ['true', 'false'], description: 'Goes on with what is new; the default' },
      lines: whole('Of the past', { minimum: 1, maximum: 1000, default: 100 }),
      since: text('Not before', { format: 'date-time' }),
      after: text('The cursor of a line: what follows it', { maxLength: 128 }),
    },
    fromClient: FROM_LISTENER,
    fromServer: FROM_LOG_SERVER,
    raw: {},
  },
  events: {
    address: '/api/v1/ws/events',
    description: `${CODES}Without \`after\` only what is new.`,
    protocol: 'ws',
    query: { ...CREDENTIALS, after: text('The id of the last event seen', { maxLength: 128 }) },
    fromClient: FROM_LISTENER,
    fromServer: FROM_EVENT_SERVER,
    raw: {},
  },
  eventStream: {
    address: '/api/v1/events',
    description:
      'Server-sent events: `id:` is the cursor, `event:` the type, `data:` the JSON object. A comment line comes every 15 s. ' +
      '`Last-Event-ID` counts as `after` does.',
    protocol: 'http',
    query: { ticket: text('Of `POST /tickets`, in place of `Authorization`'), after: text('The id of the last event seen') },
    fromClient: {},
    fromServer: EVENTS,
    raw: {},
  },
};

const pascal = (name: string): string =>
  name.replace(/(^|[._])([a-z])/g, (_match, _start, letter: string) => letter.toUpperCase());

/** What goes over sockets and streams, as an AsyncAPI document. The server is whom it describes: it sends and receives. */
export function asyncApiDocument(): Json {
  const messages: Json = {};
  const channels: Json = {};
  const operations: Json = {};
  for (const [name, channel] of Object.entries(CHANNELS)) {
    const own = messagesOf(name, channel);
    Object.assign(messages, Object.fromEntries(own.map(({ key, message }) => [key, message])));
    channels[name] = channelJson(
      channel,
      own.map(({ key }) => key),
    );
    for (const from of ['client', 'server'] as const) {
      const told = own.filter((one) => one.from === from).map(({ key }) => ({ $ref: `#/channels/${name}/messages/${key}` }));
      if (told.length > 0)
        operations[`${from === 'server' ? 'send' : 'receive'}${pascal(name)}`] = {
          action: from === 'server' ? 'send' : 'receive',
          channel: { $ref: `#/channels/${name}` },
          messages: told,
        };
    }
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'DevPocket sockets and streams',
      version: '1',
      description:
        'Terminals, logs and events. Clients ignore members, messages and events that they do not know; the server ignores unknown ' +
        'members, and answers an unknown `type` with `error unknown_type`. Calls are in `/openapi.json`.',
    },
    defaultContentType: 'application/json',
    channels,
    operations,
    components: { messages },
  };
}

interface Named {
  readonly key: string;
  readonly from: 'client' | 'server';
  readonly message: Json;
}

function messagesOf(name: string, { fromClient, fromServer, raw }: Channel): readonly Named[] {
  const json = (from: 'client' | 'server', messages: Messages): readonly Named[] =>
    Object.entries(messages).map(([type, message]) => ({
      key: `${name}${from === 'client' ? 'Client' : ''}${pascal(type)}`,
      from,
      message: {
        name: type,
        summary: message.summary,
        payload: schemaOf(type, message),
        examples: [{ payload: { type, ...message.example } }],
      },
    }));
  return [
    ...json('client', fromClient),
    ...json('server', fromServer),
    ...Object.entries(raw).map(([key, { from, message }]) => ({ key, from, message })),
  ];
}

function channelJson({ address, description, protocol, query }: Channel, keys: readonly string[]): Json {
  return {
    address,
    description,
    ...(address.includes('{') ? { parameters: { environment_id: { description: 'The environment’s id' } } } : {}),
    messages: Object.fromEntries(keys.map((key) => [key, { $ref: `#/components/messages/${key}` }])),
    bindings:
      protocol === 'ws'
        ? { ws: { bindingVersion: '0.1.0', method: 'GET', query: { type: 'object', properties: query } } }
        : { http: { bindingVersion: '0.3.0' } },
    ...(protocol === 'ws' ? {} : { 'x-query': { type: 'object', properties: query } }),
  };
}
