import { HttpSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { checkJsonSize, ProblemFilter, requestContext, validationPipe } from '@devpocket/http';
import { type INestApplication, NotFoundException } from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { SwaggerModule } from '@nestjs/swagger';
import { json, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { isUtf8 } from 'node:buffer';
import { asyncApiDocument } from './documents/async-api';
import { openApiDocument } from './documents/open-api';
import { Origins, refuseForeignPages } from './origins';

export const API_PREFIX = 'api/v1';

/** Routes outside the prefix: what operators ask, and people in a browser. */
const UNPREFIXED = ['/', 'health', 'health/ready', 'health/live', 'metrics'];
/** A sign-in needs no more; larger bodies are refused before they are read. */
const AUTH_BODY_BYTES = 65_536;
const READABLE_HEADERS = [
  'X-Request-Id',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
  'X-Total-Count',
  'Link',
  'ETag',
  'Retry-After',
  'Idempotency-Replayed',
  'Location',
];

/**
 * Everything between the socket and the routes: prefix, headers, bodies, validation and documents. The server and the
 * end-to-end tests use this same function. Create the app with `bodyParser: false`.
 */
export function dressHttpEdge(app: NestExpressApplication): void {
  const settings = app.get(HttpSettings);
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use(requestContext);
  app.use(helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } }, strictTransportSecurity: false }));
  app.enableCors({
    origin: settings.allowedOrigins.includes('*') ? true : [...settings.allowedOrigins],
    exposedHeaders: READABLE_HEADERS,
    maxAge: 600,
  });
  app.use(refuseForeignPages(new Origins(settings)));
  app.use(onlyJson);
  app.use(`/${API_PREFIX}/auth`, ...body(AUTH_BODY_BYTES));
  app.use(...body(settings.maxBodyBytes));
  setPrefix(app);
  app.useGlobalPipes(validationPipe());
  if (!settings.docsEnabled) return;
  const asyncApi = asyncApiDocument();
  app.use('/asyncapi.json', (request: Request, response: Response, next: NextFunction) => {
    if (request.method === 'GET' || request.method === 'HEAD') response.json(asyncApi);
    else next();
  });
  SwaggerModule.setup('docs', app, () => openApiDocument(app), {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
  });
}

/** Where the routes are; the documents of an app need no more of its edge. */
export function setPrefix(app: INestApplication): void {
  app.setGlobalPrefix(API_PREFIX, { exclude: UNPREFIXED });
}

/**
 * What no route and no error handler of Nest's answered, both of which know only paths below the prefix. Call it when the app
 * is initialised: it must come last.
 */
export function closeHttpEdge(app: NestExpressApplication): void {
  const filter = app.get(ProblemFilter);
  app.use((request: Request, response: Response, next: NextFunction) => {
    filter.catch(new NotFoundException(), new ExecutionContextHost([request, response, next])).catch(next);
  });
  // Express tells an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    filter.catch(error, new ExecutionContextHost([request, response, next])).catch(next);
  });
}

/** JSON, and in no other charset than UTF-8: the checks below read bytes. */
function isJson(request: { readonly headers: { readonly 'content-type'?: string | undefined } }): boolean {
  const type = request.headers['content-type'] ?? '';
  return /^application\/([^;]+\+)?json\s*(;|$)/i.test(type) && !/;\s*charset\s*=\s*(?!"?utf-8"?\s*(;|$))/i.test(type);
}

/** What the parser would replace by U+FFFD in silence, is refused: two passwords would become one. */
function checkJson(bytes: Buffer): void {
  if (!isUtf8(bytes)) throw new DomainError('malformed', 'malformed_json', 'The body is not UTF-8');
  checkJsonSize(bytes);
}

function body(limit: number): RequestHandler[] {
  const read = json({ limit, type: isJson, inflate: false, verify: (_request, _response, bytes) => checkJson(bytes) });
  return [declaredSize(limit), read];
}

/** Answered before the body is sent: the parser would first read all of it. */
function declaredSize(limit: number): RequestHandler {
  return (request, response, next) => {
    if (Number(request.headers['content-length'] ?? 0) <= limit) {
      next();
      return;
    }
    response.setHeader('Connection', 'close');
    next(new DomainError('too_large', 'body_too_large', `The body is larger than ${limit} bytes`, { extra: { limit } }));
  };
}

/** A body that is no JSON is refused rather than dropped unseen. */
function onlyJson(request: Request, _response: Response, next: NextFunction): void {
  const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (!hasBody || isJson(request)) {
    next();
    return;
  }
  next(new DomainError('malformed', 'unsupported_media_type', 'The body must be JSON in UTF-8 (Content-Type: application/json)'));
}
