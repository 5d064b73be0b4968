import { DomainError, type ErrorKind, type FieldError } from '@devpocket/kernel';
import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';

/** The body of every error answer, RFC 9457 with the contract's members. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly request_id: string;
  readonly errors?: readonly FieldError[];
  readonly retry_after?: number;
  readonly [member: string]: unknown;
}

/** HTTP's table over the error kinds (RFC 9110 §15). */
export const HTTP_STATUS: Readonly<Record<ErrorKind, number>> = {
  malformed: 400,
  invalid_state: 400,
  duplicate: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  invalid: 422,
  rate_limited: 429,
  unavailable: 503,
  internal: 500,
};

const DEFAULT_RETRY_AFTER: Partial<Record<ErrorKind, number>> = { unavailable: 5, conflict: 1, rate_limited: 60 };

/** Any thrown value as the one error type. What is not ours stays inside: its text is for the log. */
export function toDomainError(error: unknown, debug: boolean): DomainError {
  const known = fromFramework(error) ?? fromDatabase(error);
  if (known) return known;
  const detail = debug && error instanceof Error ? `${error.name}: ${error.message}` : 'Something went wrong on our side';
  return new DomainError('internal', 'internal', detail, { cause: error });
}

export function toProblem(error: DomainError, requestId: string): Problem {
  const status = statusOf(error);
  const retryAfter = error.retryAfter ?? DEFAULT_RETRY_AFTER[error.kind] ?? null;
  return {
    ...error.extra,
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...(error.errors.length > 0 ? { errors: error.errors } : {}),
    ...(retryAfter === null ? {} : { retry_after: retryAfter }),
  };
}

/** Two codes have a status of their own within their kind. */
function statusOf(error: DomainError): number {
  if (error.code === 'method_not_allowed') return 405;
  if (error.code === 'unsupported_media_type') return 415;
  return HTTP_STATUS[error.kind];
}

/** Errors of body-parser (http-errors with `type`) and of Nest's own exceptions. */
function fromFramework(error: unknown): DomainError | null {
  if (error instanceof DomainError) return error;
  if (typeof error === 'object' && error !== null && 'type' in error && 'status' in error && 'message' in error) {
    switch (error.type) {
      case 'entity.parse.failed':
        return new DomainError('malformed', 'malformed_json', 'The body is not valid JSON');
      case 'entity.too.large': {
        const limit = 'limit' in error ? Number(error.limit) : null;
        return new DomainError('too_large', 'body_too_large', `The body is larger than ${limit ?? 'the limit of'} bytes`, {
          extra: { limit },
        });
      }
      case 'encoding.unsupported':
      case 'charset.unsupported':
        return new DomainError('malformed', 'unsupported_media_type', 'The body must be UTF-8 JSON');
      case 'request.aborted':
      case 'request.size.invalid':
      case 'entity.verify.failed':
      case 'stream.encoding.set':
        return new DomainError('malformed', 'malformed_json', 'The body could not be read');
      default:
        break;
    }
  }
  // Of a static file: a range or a condition that cannot be met.
  if (isRefusal(error)) return new DomainError('malformed', 'malformed_request', error.message);
  if (error instanceof HttpException) {
    const inner = error.cause === undefined ? null : fromFramework(error.cause);
    if (inner) return inner;
    const status = error.getStatus();
    if (status === 404) return DomainError.notFound('Route');
    // A path with a broken percent-encoding names nothing.
    if (status === 400 && error.message.startsWith('Failed to decode param')) return DomainError.notFound('Route');
    if (status === 400) return new DomainError('malformed', 'malformed_json', 'The body is not valid JSON');
    if (status === 401) return new DomainError('unauthenticated', 'token_invalid', 'Not authenticated');
    if (status === 403) return new DomainError('forbidden', 'forbidden', 'Not allowed');
  }
  return null;
}

/** An http-errors error of the client's making. */
function isRefusal(error: unknown): error is { readonly message: string } {
  if (typeof error !== 'object' || error === null || !('expose' in error) || !('status' in error)) return false;
  return error.expose === true && typeof error.status === 'number' && error.status < 500 && error.status !== 404;
}

/** The database not answering is a part that is down, not a fault of ours. */
const DATABASE_DOWN = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongoNotConnectedError',
  'MongooseServerSelectionError',
  'MongoTopologyClosedError',
  'MongoPoolClosedError',
  'MongoWaitQueueTimeoutError',
  'MongoPoolClearedError',
  'MongoClientClosedError',
]);

/**
 * What a server says that stops, steps down, or does not hear enough of its peers (MongoDB's error_codes.yml: NotPrimary and Shutdown errors, and
 * WriteConcernTimeout). Its effect may be there all the same; whoever asks again with the same Idempotency-Key makes no second one.
 */
const PASSING_CODES = new Set([64, 89, 91, 100, 189, 10_107, 11_600, 11_602, 13_435, 13_436]);

function fromDatabase(error: unknown): DomainError | null {
  if (!(error instanceof Error)) return null;
  const passing =
    'code' in error && typeof error.code === 'number' && PASSING_CODES.has(error.code) && error.name.startsWith('Mongo');
  if (DATABASE_DOWN.has(error.name) || passing) {
    return new DomainError('unavailable', 'unavailable', 'The database does not answer; try again', { cause: error });
  }
  return null;
}
