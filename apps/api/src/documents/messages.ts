import { type Json } from './json-schema';

/** One message of a socket or stream: its members beside `type`, `?` at the end of a name for one that may be left out. */
export interface Message {
  readonly summary: string;
  readonly members: Readonly<Record<string, Json>>;
  readonly example: Json;
}

/** Messages by their `type`. */
export type Messages = Readonly<Record<string, Message>>;

export const ID: Json = { type: 'string', pattern: '^[0-9a-f]{24}$' };
export const TIME: Json = { type: 'string', format: 'date-time' };
export const NUMBER: Json = { type: 'integer', minimum: 0 };
export const TEXT: Json = { type: 'string' };
export const SIZE: Json = { type: 'integer', minimum: 1, maximum: 1000 };
export const position = (description: string): Json => ({ ...NUMBER, description });
export const oneOf = (...values: readonly (string | null)[]): Json => ({
  type: values.includes(null) ? ['string', 'null'] : 'string',
  enum: [...values],
});
export const orNull = ({ type, ...schema }: Json): Json => ({ type: [type, 'null'], ...schema });

/** What a client may send back as it is. */
const PING_ID: Json = { type: ['string', 'number', 'null'], maxLength: 128, description: 'Comes back with the pong' };

/** What every socket takes and says. */
export const PING: Message = { summary: 'Asks for a pong', members: { 'id?': PING_ID }, example: { id: 1 } };
export const PONG: Message = { summary: 'Answers a ping', members: { 'id?': PING_ID }, example: { id: 1 } };
export const AUTH: Message = {
  summary: 'A fresh access token before the old one expires',
  members: { token: TEXT },
  example: { token: 'eyJhbGciOiJIUzI1NiJ9.e30.c2ln' },
};

/** @param codes every `code` that the channel can tell */
export function errorMessage(codes: readonly string[], members: Readonly<Record<string, Json>> = {}): Message {
  return {
    summary: 'What went wrong; the last message before a close says why',
    members: {
      code: oneOf(...codes),
      message: { ...TEXT, description: 'For people' },
      'retry_after_ms?': { ...NUMBER, description: 'When to come back' },
      'errors?': {
        type: 'array',
        items: { type: 'object', required: ['field', 'code', 'message'], properties: { field: TEXT, code: TEXT, message: TEXT } },
        description: 'The options of the address that are wrong (`validation_error`)',
      },
      'scope?': { ...TEXT, description: 'The scope that the API key lacks (`scope_missing`)' },
      ...members,
    },
    example: { code: codes[0], message: 'A sentence for people' },
  };
}

/** Codes of a handshake that is refused: the socket opens, says why and closes. */
export const REFUSALS = [
  'token_missing',
  'token_expired',
  'token_invalid',
  'session_revoked',
  'ticket_invalid',
  'origin_not_allowed',
  'forbidden',
  'scope_missing',
  'email_not_verified',
  'not_found',
  'too_many_connections',
  'rate_limited',
  'restarting',
  'unavailable',
  'internal',
];

/** The JSON Schema of one message. @param open it may have members that are not named here */
export function schemaOf(type: string, { members, summary }: Message, open = true): Json {
  const entries = Object.entries(members);
  return {
    type: 'object',
    description: summary,
    required: ['type', ...entries.map(([name]) => name).filter((name) => !name.endsWith('?'))],
    properties: {
      type: { const: type },
      ...Object.fromEntries(entries.map(([name, schema]) => [name.replace('?', ''), schema])),
    },
    ...(open ? {} : { additionalProperties: false }),
  };
}
