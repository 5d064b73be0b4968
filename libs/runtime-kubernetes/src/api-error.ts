import { RuntimeError } from '@devpocket/runtime';

/**
 * An answer that is no success, or (status 0) none at all. Holds the API's sentence and nothing of the request: requests
 * carry credentials.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The API's own word, such as `NotFound` or `AlreadyExists`. */
    readonly reason: string | null = null,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/**
 * Refusals that pass by themselves: the namespace's quota was made a moment ago and is not counted yet, the namespace is on
 * its way out, somebody else wrote at the same time.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  const { status, message } = error;
  if (status === 409) return !message.includes('already exists');
  return (
    status === 403 &&
    (message.includes('status unknown for quota') ||
      message.includes('being terminated') ||
      /service ?account .*not found/i.test(message))
  );
}

/** The closed set of the driver's failures. What is not a clear answer leaves nothing known: `unreachable`. */
export function toRuntimeError(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  if (!(error instanceof ApiError))
    return new RuntimeError('unreachable', error instanceof Error ? error.message : String(error));
  const { status, message } = error;
  if (isTransient(error)) return new RuntimeError('unreachable', message);
  if (status === 403) return new RuntimeError('refused', message, message.includes('exceeded quota') ? 'quota_exceeded' : null);
  if (status === 404) return new RuntimeError('gone', message);
  if (status === 400 || status === 422) return new RuntimeError('invalid', message);
  return new RuntimeError('unreachable', message);
}
