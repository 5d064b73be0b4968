/**
 * What went wrong, from the caller's side. Each edge has one total table over this set: HTTP status, socket close code,
 * CLI exit code.
 */
export type ErrorKind =
  | 'malformed'
  | 'invalid_state'
  | 'duplicate'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'too_large'
  | 'invalid'
  | 'rate_limited'
  | 'unavailable'
  | 'internal';

/** One faulty input field: `field` is a dotted path, `code` is stable and for programs, `message` a sentence part for people. */
export interface FieldError {
  readonly field: string;
  readonly code: string;
  readonly message: string;
}

export interface DomainErrorOptions {
  /** Further members of the problem document, snake_case (`current_status`, `allowed`, `limit` …). Never secrets. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly errors?: readonly FieldError[];
  /** Seconds after which the same call may succeed. */
  readonly retryAfter?: number;
  readonly cause?: unknown;
}

/** The one error type of the domain. `code` is stable and part of the public contract; `message` is a sentence for people. */
export class DomainError extends Error {
  readonly extra: Readonly<Record<string, unknown>>;
  readonly errors: readonly FieldError[];
  readonly retryAfter: number | null;

  constructor(
    readonly kind: ErrorKind,
    readonly code: string,
    message: string,
    options: DomainErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DomainError';
    this.extra = options.extra ?? {};
    this.errors = options.errors ?? [];
    this.retryAfter = options.retryAfter ?? null;
  }

  /** A validation failure of one or more fields (422 `validation_error`). */
  static invalid(...errors: FieldError[]): DomainError {
    return new DomainError('invalid', 'validation_error', 'Validation error', { errors });
  }

  /** Absent, or someone else's: the same answer. */
  static notFound(what: string): DomainError {
    return new DomainError('not_found', 'not_found', `${what} not found`);
  }
}
