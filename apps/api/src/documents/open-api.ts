import { type RouteAccess } from '@devpocket/access';
import { operationFacts, type OperationFacts, ProblemDto, problemsOf } from '@devpocket/http';
import { type INestApplication, type Type } from '@nestjs/common';
import { ModulesContainer, Reflector } from '@nestjs/core';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { STATUS_CODES } from 'node:http';
import { exampleOf } from './examples';
import { closeForInput, isObject, type Json, modernise } from './json-schema';
import { problemResponses } from './problems';

const DESCRIPTION = `Development environments and terminals on them.

Errors are problem documents (RFC 9457); programs go by \`code\`, whose possible values each answer here lists. Lists are bare
arrays, newest first; the next page is in \`Link\`. Clients ignore members that they do not know; the server refuses unknown
members of what it is sent. Sockets and streams are in \`/asyncapi.json\`.`;

const TAGS: Readonly<Record<string, string>> = {
  auth: 'Accounts, sessions and API keys',
  users: 'The caller, and accounts for administrators',
  templates: 'What environments are made from',
  environments: 'Environments and what they tell',
  events: 'What happens to environments, as it happens',
  terminals: 'Shells that go on without a socket',
  clusters: 'Where environments run',
  admin: 'What administrators see',
  service: 'What operators and clients ask before anyone has signed in',
};

const text = (description: string): Json => ({ description, schema: { type: 'string' } });
const count = (description: string): Json => ({ description, schema: { type: 'integer', minimum: 0 } });

const HEADERS: Json = {
  'X-Request-Id': text("The caller's, if it sent a good one, else a new one"),
  'X-RateLimit-Limit': count('Requests a minute, of the tightest limit; absent when limits are off'),
  'X-RateLimit-Remaining': count('Requests that are left in this minute'),
  'X-RateLimit-Reset': count('Seconds until the limit is whole again'),
  'X-Total-Count': { ...count('How many there are in all'), required: true },
  Link: text('The next page as `<…>; rel="next"`; absent on the last'),
  ETag: { ...text('For `If-None-Match`'), required: true },
  'Idempotency-Replayed': { description: 'This is the first answer again', schema: { const: 'true' } },
  'WWW-Authenticate': { description: 'How to authenticate', schema: { const: 'Bearer' } },
  'Retry-After': count('Seconds after which the same call may succeed'),
};

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same key and body within 24 h get the first answer again, and nothing is done twice',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
};
const IF_NONE_MATCH: Json = {
  name: 'If-None-Match',
  in: 'header',
  required: false,
  description: 'An `ETag` that the caller has: 304 while it is the present one',
  schema: { type: 'string', maxLength: 1000 },
};

/** What the server says of its HTTP interface. Needs no provider, so it can be had of an app in preview mode too. */
export function openApiDocument(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder().setOpenAPIVersion('3.1.0').setTitle('DevPocket API').setDescription(DESCRIPTION);
  const made = SwaggerModule.createDocument(app, config.setVersion('1').build(), { extraModels: [ProblemDto] });
  const document = withShortNames(made);
  modernise(document);
  const { paths, components } = document;
  if (!isObject(paths) || !isObject(components)) throw new Error('The document has no paths');
  const handlers = handlersOf(app);
  const responses: Json = {};
  const used = new Set<unknown>();
  for (const [path, item] of Object.entries(paths)) {
    for (const operation of Object.values(isObject(item) ? item : {})) {
      if (!isObject(operation)) continue;
      complete(document, operation, factsOf(handlers, path, operation), responses);
      for (const tag of Array.isArray(operation.tags) ? operation.tags : []) used.add(tag);
    }
  }
  document.components = { ...components, headers: HEADERS, responses: sorted(responses), securitySchemes: SECURITY };
  document.tags = Object.entries(TAGS)
    .filter(([name]) => used.has(name))
    .map(([name, description]) => ({ name, description }));
  return document as unknown as OpenAPIObject;
}

const SECURITY: Json = {
  session: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The access token of a signed-in person' },
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key (`dp_…`); the scopes that it must have are named with each operation',
  },
};

/** Clients know no DTOs. */
function withShortNames(made: OpenAPIObject): Json {
  const names = Object.keys(made.components?.schemas ?? {});
  const short = (name: string): string => name.replace(/Dto$/, '');
  const clash = names.find((name, index) => names.some((other, at) => at < index && short(other) === short(name)));
  if (clash !== undefined) throw new Error(`Two schemas are called ${short(clash)}`);
  const renamed = JSON.stringify(made).replace(/"#\/components\/schemas\/(\w+)"/g, (_ref, name: string) => {
    return `"#/components/schemas/${short(name)}"`;
  });
  const document = JSON.parse(renamed) as Json & { components: { schemas: Json } };
  document.components.schemas = sorted(
    Object.fromEntries(Object.entries(document.components.schemas).map(([name, schema]) => [short(name), schema])),
  );
  return document;
}

const sorted = (object: Json): Json => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));

type Handlers = ReadonlyMap<string, (path: string) => OperationFacts>;

/** Every controller's methods by their operationIds. */
function handlersOf(app: INestApplication): Handlers {
  const reflector = new Reflector();
  const found = new Map<string, (path: string) => OperationFacts>();
  const controllers = [...app.get(ModulesContainer).values()].flatMap((module) => [...module.controllers.values()]);
  for (const { metatype } of controllers) {
    if (typeof metatype !== 'function') continue;
    const prototype = metatype.prototype as Readonly<Record<string, unknown>>;
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const handler = prototype[name];
      if (typeof handler !== 'function') continue;
      const { operationId } = (Reflect.getMetadata('swagger/apiOperation', handler) ?? {}) as { operationId?: string };
      if (operationId === undefined) continue;
      if (found.has(operationId)) throw new Error(`Two operations are called ${operationId}`);
      const facts = (path: string): OperationFacts =>
        operationFacts(reflector, handler as (...args: never[]) => unknown, metatype as Type, path);
      found.set(operationId, facts);
    }
  }
  return found;
}

function factsOf(handlers: Handlers, path: string, { operationId }: Json): OperationFacts {
  const facts = handlers.get(String(operationId));
  if (!facts) throw new Error(`An operation of ${path} has no operationId: add @ApiOperation`);
  return facts(path);
}

/** Adds what follows from the route's guards, pipes and interceptors. */
function complete(document: Json, operation: Json, facts: OperationFacts, shared: Json): void {
  const { params, takesIdempotencyKey, tagged } = facts;
  const parameters = (Array.isArray(operation.parameters) ? operation.parameters : []).filter(isObject);
  for (const parameter of parameters) {
    if (params.some(({ name, isId }) => isId && name === parameter.name))
      parameter.schema = { type: 'string', pattern: '^[0-9a-f]{24}$' };
  }
  operation.parameters = [...parameters, ...(takesIdempotencyKey ? [IDEMPOTENCY_KEY] : []), ...(tagged ? [IF_NONE_MATCH] : [])];
  operation.security = securityOf(facts.access);
  const body = isObject(operation.requestBody) ? operation.requestBody.content : undefined;
  for (const media of Object.values(isObject(body) ? body : {})) {
    if (!isObject(media)) continue;
    closeForInput(document, media.schema);
    media.example = exampleOf(document, media.schema);
  }
  const answers = isObject(operation.responses) ? operation.responses : {};
  for (const [status, answer] of Object.entries(answers)) if (isObject(answer)) finish(document, status, answer, facts);
  operation.responses = {
    ...answers,
    ...(tagged ? { 304: { description: 'Not Modified', headers: headersOf(facts) } } : {}),
    ...withOwn(answers, problemResponses(problemsOf(facts), shared)),
  };
}

/** What a controller says itself of a status stands. */
const withOwn = (answers: Json, derived: Json): Json => ({ ...derived, ...answers });

function finish(document: Json, status: string, answer: Json, facts: OperationFacts): void {
  answer.description ||= STATUS_CODES[status] ?? '';
  answer.headers = headersOf(facts);
  for (const media of Object.values(isObject(answer.content) ? answer.content : {}))
    if (isObject(media) && !('example' in media)) media.example = exampleOf(document, media.schema);
}

function headersOf({ limited, paged, tagged, takesIdempotencyKey }: OperationFacts): Json {
  const names = [
    'X-Request-Id',
    ...(limited ? ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'] : []),
    ...(paged ? ['X-Total-Count', 'Link'] : []),
    ...(tagged ? ['ETag'] : []),
    ...(takesIdempotencyKey ? ['Idempotency-Replayed'] : []),
  ];
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** OpenAPI 3.1 lets any scheme name the roles that it must have. */
function securityOf(access: RouteAccess): readonly Json[] {
  switch (access.kind) {
    case 'public':
      return [];
    case 'session':
      return [{ session: [] }];
    case 'credential':
      return [{ session: [] }, { apiKey: [] }];
    case 'scope':
      return [{ session: [] }, { apiKey: [access.scope] }];
    case 'admin':
      return [{ session: ['admin'] }, { apiKey: ['admin'] }];
  }
}
