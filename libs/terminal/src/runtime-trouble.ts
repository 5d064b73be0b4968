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
    const why = error.kind === 'refused' ? `The runtime refuses: ${error.message}` : 'The runtime does not answer; try again';
    throw new DomainError('unavailable', 'unavailable', why, { cause: error });
  }
}
