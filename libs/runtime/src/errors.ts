import { type StatusReason } from './types';

/**
 * The closed set of ways a driver fails. `unreachable`: the runtime did not answer, nothing is known. `refused`: it answered
 * and will not (quota, policy). `invalid`: what was asked can never work. `gone`: the environment, incarnation or session
 * is not there.
 */
export type RuntimeErrorKind = 'unreachable' | 'refused' | 'invalid' | 'gone';

export class RuntimeError extends Error {
  constructor(
    readonly kind: RuntimeErrorKind,
    message: string,
    readonly reason: StatusReason | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'RuntimeError';
  }
}
