import { type RouteAccess, routeAccess } from '@devpocket/access';
import { RequestMethod, type Type } from '@nestjs/common';
import { INTERCEPTORS_METADATA, METHOD_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum';
import { type Reflector } from '@nestjs/core';
import { EtagInterceptor } from './etag.interceptor';
import { IdPipe } from './id.pipe';
import { isExemptFromIdempotency } from './idempotency.interceptor';
import { PageInterceptor } from './page.dto';
import { type Problems, problemsGivenTo } from './problem.dto';
import { isExemptFromLimits } from './rate-limit.guard';

type Handler = (...args: never[]) => unknown;

/** What guards, pipes and interceptors will do to a route, as their own marks on it tell. */
export interface OperationFacts {
  readonly access: RouteAccess;
  /** False: only failures count against a rate limit. */
  readonly limited: boolean;
  readonly changes: boolean;
  readonly takesBody: boolean;
  readonly takesQuery: boolean;
  /** Path parameters; `isId`: 24 hex digits. */
  readonly params: readonly { readonly name: string; readonly isId: boolean }[];
  readonly takesIdempotencyKey: boolean;
  readonly paged: boolean;
  readonly tagged: boolean;
  /** What only this route answers: from `@ApiProblems`. */
  readonly own: Problems;
}

interface RouteArgument {
  readonly data?: unknown;
  readonly pipes?: readonly unknown[];
}

/** @param path of the whole route, `/api/v1/tickets` */
export function operationFacts(reflector: Reflector, handler: Handler, controller: Type, path: string): OperationFacts {
  const method = Number(Reflect.getMetadata(METHOD_METADATA, handler)) as RequestMethod;
  const access = routeAccess(reflector, handler, controller);
  const given = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, handler.name) as unknown;
  const args = Object.entries((given ?? {}) as Readonly<Record<string, RouteArgument>>);
  const of = (type: RouteParamtypes): RouteArgument[] =>
    args.filter(([key]) => key.startsWith(`${type}:`)).map(([, argument]) => argument);
  const interceptors = [handler, controller].flatMap(
    (target) => (Reflect.getMetadata(INTERCEPTORS_METADATA, target) ?? []) as unknown[],
  );
  return {
    access,
    limited: !isExemptFromLimits(reflector, handler, controller),
    changes: method !== RequestMethod.GET,
    takesBody: of(RouteParamtypes.BODY).length > 0,
    takesQuery: of(RouteParamtypes.QUERY).length > 0,
    params: of(RouteParamtypes.PARAM).map(({ data, pipes = [] }) => ({
      name: String(data),
      isId: pipes.some((pipe) => pipe instanceof IdPipe),
    })),
    takesIdempotencyKey: method === RequestMethod.POST && access.kind !== 'public' && !isExemptFromIdempotency(path),
    paged: interceptors.includes(PageInterceptor),
    tagged: method === RequestMethod.GET && interceptors.includes(EtagInterceptor),
    own: problemsGivenTo(reflector, handler, controller),
  };
}

const REFUSED: Readonly<Record<RouteAccess['kind'], readonly string[]>> = {
  public: [],
  session: ['forbidden'],
  credential: [],
  scope: ['scope_missing'],
  admin: ['forbidden', 'scope_missing'],
};

/** Every error that an operation can answer, by status, each with its closed set of codes, sorted. */
export function problemsOf(facts: OperationFacts): Problems {
  const { access, limited, changes, takesBody, takesQuery, params, takesIdempotencyKey, own } = facts;
  const checked = takesBody || takesQuery;
  const all: readonly (readonly [number, readonly string[]])[] = [
    [401, access.kind === 'public' ? [] : ['token_missing', 'token_invalid', 'token_expired', 'session_revoked']],
    [403, REFUSED[access.kind]],
    [404, params.length > 0 ? ['not_found'] : []],
    // The edge reads a body before it knows whether the route wants one.
    [400, changes ? ['malformed_json'] : []],
    [413, changes ? ['body_too_large'] : []],
    [415, changes ? ['unsupported_media_type'] : []],
    [422, checked || takesIdempotencyKey ? ['validation_error'] : []],
    [409, takesIdempotencyKey ? ['idempotency_in_progress'] : []],
    [422, takesIdempotencyKey ? ['idempotency_mismatch'] : []],
    [429, limited ? ['rate_limited'] : []],
    [500, ['internal']],
    [503, limited ? ['unavailable'] : []],
    ...Object.entries(own).map(([status, codes]) => [Number(status), codes] as const),
  ];
  const found: Record<number, readonly string[]> = {};
  for (const [status, codes] of all) {
    if (codes.length > 0) found[status] = [...new Set([...(found[status] ?? []), ...codes])].sort();
  }
  return found;
}
