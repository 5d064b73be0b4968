import { type LocatedEnvironment } from '@devpocket/environments';
import { DomainError } from '@devpocket/kernel';
import { RuntimeError } from '@devpocket/runtime';

export function notRunning({ status }: Pick<LocatedEnvironment, 'status'>): DomainError {
  return new DomainError('invalid_state', 'environment_not_running', `The environment is ${status}`, { extra: { status } });
}

/** Asks a runtime something for a client. @throws DomainError `environment_not_running | unavailable` for its troubles */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    if (error.kind === 'gone') throw notRunning({ status: 'stopping' });
    if (error.kind !== 'refused') throw unreachable(error);
    throw new DomainError('unavailable', 'unavailable', `The runtime refuses: ${error.message}`, { cause: error });
  }
}

export function unreachable(cause?: unknown): DomainError {
  return new DomainError('unavailable', 'unavailable', 'The runtime does not answer; try again', { cause });
}
