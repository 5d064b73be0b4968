import { SettingsError } from '@devpocket/config';
import { ApiError } from '@devpocket/client';
import { DomainError, type ErrorKind, hasCode } from '@devpocket/kernel';

/** Something that the person at the keyboard can mend: told in a sentence, without a stack trace. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
    this.name = 'UserError';
  }
}

/** Exit codes of the command line, documented in the README. */
const EXIT_CODE: Readonly<Record<ErrorKind, number>> = {
  malformed: 2,
  invalid: 2,
  invalid_state: 1,
  duplicate: 1,
  conflict: 1,
  too_large: 2,
  unauthenticated: 4,
  forbidden: 4,
  not_found: 3,
  rate_limited: 5,
  unavailable: 5,
  internal: 70,
};

/** A DATA_DIR that cannot be used. */
const FILE_FAULTS = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOSPC'];

export interface Told {
  readonly message: string;
  readonly exitCode: number;
}

/** What to say of a failure and which code to end with; null for a fault of ours, which deserves its stack. */
export function tell(error: unknown): Told | null {
  if (error instanceof UserError) return error;
  if (error instanceof SettingsError) return { message: error.message, exitCode: 2 };
  if (error instanceof ApiError)
    return {
      message: `${error.message} (${error.code})${fieldsOf(error)}`,
      exitCode: error.status === 404 ? 3 : error.status === 401 || error.status === 403 ? 4 : error.status >= 429 ? 5 : 1,
    };
  if (error instanceof DomainError) {
    const fields = error.errors.map(({ field, message }) => `\n  ${field} ${message}`).join('');
    return { message: error.message + fields, exitCode: EXIT_CODE[error.kind] };
  }
  if (error instanceof Error && FILE_FAULTS.some((code) => hasCode(error, code))) return { message: error.message, exitCode: 2 };
  if (error instanceof Error && (error.name === 'FolderLockedError' || error.name.startsWith('Mongo')))
    return { message: error.message, exitCode: 5 };
  return null;
}

function fieldsOf(error: ApiError): string {
  const { errors } = error.problem;
  if (!Array.isArray(errors)) return '';
  return (errors as { field?: unknown; message?: unknown }[])
    .map(({ field, message }) => `\n  ${String(field)} ${String(message)}`)
    .join('');
}
