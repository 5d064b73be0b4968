import { randomUUID } from 'node:crypto';
import { type NextFunction, type Request, type Response } from 'express';

const CALLERS_OWN = /^[A-Za-z0-9._-]{1,128}$/;

/** What the edge knows of a request, beside the principal that the access guard puts on it. */
export interface RequestContext {
  readonly requestId: string;
  /** Set once a limit has counted this request; what never reached a limit is counted where it fails. */
  counted: boolean;
}

const contexts = new WeakMap<object, RequestContext>();

/** The caller's request id, if it is well-formed, else a new UUID. */
export function requestIdOf(header: string | readonly string[] | undefined): string {
  return typeof header === 'string' && CALLERS_OWN.test(header) ? header : randomUUID();
}

export function contextOf(request: object): RequestContext {
  let context = contexts.get(request);
  if (!context) {
    context = { requestId: randomUUID(), counted: false };
    contexts.set(request, context);
  }
  return context;
}

/** First of all middlewares: gives the request its id and tells it in the answer. */
export function requestContext(request: Request, response: Response, next: NextFunction): void {
  const context: RequestContext = { requestId: requestIdOf(request.headers['x-request-id']), counted: false };
  contexts.set(request, context);
  response.setHeader('X-Request-Id', context.requestId);
  next();
}
