import { SCOPES } from '@devpocket/access';
import { type Problems } from '@devpocket/http';
import { STATUS_CODES } from 'node:http';
import { type Json } from './json-schema';

const LIMIT = {
  type: 'object',
  required: ['name', 'allowed', 'used', 'plan'],
  properties: {
    name: { type: 'string' },
    allowed: { type: ['number', 'null'], description: 'Null: no limit' },
    used: { type: 'number', description: 'What there is, or what was asked for' },
    plan: { type: 'string' },
  },
};

/** Members that a problem of this code has beside those of every problem. */
const MEMBERS: Readonly<Record<string, Json>> = {
  body_too_large: { limit: { type: ['integer', 'null'], description: 'Bytes' } },
  scope_missing: { scope: { type: 'string', enum: [...SCOPES] } },
  invalid_state: { current_status: { type: 'string' }, allowed: { type: 'array', items: { type: 'string' } } },
  environment_not_running: { status: { type: 'string' } },
  plan_limit_exceeded: { limit: LIMIT },
  environment_limit_reached: {
    limit: LIMIT,
    options: {
      type: 'array',
      items: {
        type: 'object',
        required: ['action', 'detail'],
        properties: {
          action: { type: 'string', enum: ['stop_environment', 'delete_environment', 'upgrade_plan'] },
          detail: { type: 'string' },
        },
      },
    },
  },
  cluster_in_use: { environments_count: { type: 'integer' } },
};

/** Sets of codes that many operations answer have a name, which their one code gives them, or this table. */
const NAMED: Readonly<Record<string, string>> = {
  '401 session_revoked token_expired token_invalid token_missing': 'Unauthenticated',
  '403 forbidden scope_missing': 'NotForThisCaller',
  '422 idempotency_mismatch validation_error': 'ValidationErrorOrMismatch',
};

function nameOf(status: string, codes: readonly string[]): string | null {
  const [only = ''] = codes;
  if (codes.length > 1) return NAMED[`${status} ${codes.join(' ')}`] ?? null;
  return `${only.replace(/(^|_)([a-z])/g, (_match, _start, letter: string) => letter.toUpperCase())}${status}`;
}

/** The responses of an operation's problems. Those with a name are put into `shared`, once. */
export function problemResponses(problems: Problems, shared: Json): Json {
  return Object.fromEntries(
    Object.entries(problems).map(([status, codes]) => {
      const response = problemResponse(status, codes);
      const name = nameOf(status, codes);
      if (name === null) return [status, response];
      shared[name] = response;
      return [status, { $ref: `#/components/responses/${name}` }];
    }),
  );
}

function problemResponse(status: string, codes: readonly string[]): Json {
  const members = Object.fromEntries(codes.flatMap((code) => Object.entries(MEMBERS[code] ?? {})));
  const title = STATUS_CODES[status] ?? '';
  const waits = status === '409' || status === '429' || status === '503';
  return {
    description: `${title}: ${codes.join(', ')}`,
    headers: {
      'X-Request-Id': { $ref: '#/components/headers/X-Request-Id' },
      ...(status === '401' ? { 'WWW-Authenticate': { $ref: '#/components/headers/WWW-Authenticate' } } : {}),
      ...(waits ? { 'Retry-After': { $ref: '#/components/headers/Retry-After' } } : {}),
    },
    content: {
      'application/problem+json': {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Problem' },
            {
              type: 'object',
              properties: { status: { const: Number(status) }, code: { type: 'string', enum: [...codes] }, ...members },
            },
          ],
        },
        examples: Object.fromEntries(codes.map((code) => [code, { value: example(status, title, code) }])),
      },
    },
  };
}

function example(status: string, title: string, code: string): Json {
  const waits = status === '409' || status === '429' || status === '503';
  return {
    type: 'about:blank',
    title,
    status: Number(status),
    detail: 'A sentence for people',
    code,
    request_id: '0d8f2c1e-7a55-4b9e-9f0a-1c2d3e4f5a6b',
    ...(code === 'validation_error' ? { errors: [{ field: 'name', code: 'invalid_name', message: 'is not a name' }] } : {}),
    ...(waits ? { retry_after: 5 } : {}),
  };
}
