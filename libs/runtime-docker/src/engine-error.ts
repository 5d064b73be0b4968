import { RuntimeError } from '@devpocket/runtime';

/** An answer of the engine that is no success, or (status 0) none at all; holds the engine's sentence. */
export class EngineError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = 'EngineError';
  }
}

/** Does nothing bear the name? */
export function isAbsent(error: unknown): boolean {
  return error instanceof EngineError && error.status === 404;
}

/**
 * The closed set of the driver's failures. An engine says 500 also of what can never work; what of it is known to be final is told apart
 * where it is asked for, the rest leaves nothing known.
 */
export function toRuntimeError(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof EngineError)) return new RuntimeError('unreachable', message);
  if (error.status === 404) return new RuntimeError('gone', message);
  if (error.status === 400) return new RuntimeError('invalid', message);
  // 403: a proxy in front of the socket that lets some calls through; 409: not in this state.
  if (error.status === 401 || error.status === 403 || error.status === 409) return new RuntimeError('refused', message);
  return new RuntimeError('unreachable', message);
}
