import { SettingsError } from '@devpocket/config';
import { ApiError } from '@devpocket/client';
import { DomainError, type ErrorKind, hasCode } from '@devpocket/kernel';
import { types } from 'node:util';

/** Exit codes of the command line, documented in its README. */
export const EXIT = { done: 0, refused: 1, badInput: 2, notFound: 3, notAllowed: 4, unavailable: 5, internal: 70 } as const;

/** What programs are told of a failure that has no code of its own. */
const CODES: Readonly<Record<number, string>> = {
  1: 'refused',
  2: 'bad_input',
  3: 'not_found',
  4: 'not_allowed',
  5: 'unavailable',
  70: 'internal',
};

/** A failure as programs are told of it. */
export interface EnvelopeError {
  /** Stable, for programs: the API's where it comes from there. */
  readonly code: string;
  readonly message: string;
  /** What the process ends with. */
  readonly exit_code: number;
  readonly errors: readonly { readonly field: string; readonly message: string }[];
}

/** Something that the person at the keyboard can mend: told in a sentence, without a stack trace. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly exitCode = 1,
    /** What was found nevertheless. */
    readonly data: unknown = null,
  ) {
    super(message);
    this.name = 'UserError';
  }

  with(data: unknown): UserError {
    return new UserError(this.message, this.exitCode, data);
  }
}

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

/** A DATA_DIR, or a file that was named, which cannot be used. */
const FILE_FAULTS = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOSPC', 'ENOENT', 'EISDIR', 'ENAMETOOLONG', 'ELOOP'];

export interface Told {
  /** For a person. */
  readonly message: string;
  readonly exitCode: number;
  /** For a program. */
  readonly error: EnvelopeError;
  readonly data: unknown;
}

/** What to say of a failure and which code to end with; null for a fault of ours, which deserves its stack. */
export function tell(error: unknown): Told | null {
  if (error instanceof UserError) return told(error.message, error.exitCode, null, [], error.data);
  if (error instanceof SettingsError) {
    const faults = error.faults.map(({ variable, problem }) => ({ field: variable, message: problem }));
    return { ...told(error.message, EXIT.badInput, 'bad_configuration', faults), message: error.message };
  }
  if (error instanceof ApiError) return ofApi(error);
  if (error instanceof DomainError) return told(error.message, EXIT_CODE[error.kind], error.code, error.errors);
  if (!types.isNativeError(error)) return null;
  if (FILE_FAULTS.some((code) => hasCode(error, code))) return told(error.message, EXIT.badInput, 'file_fault');
  if (error.name === 'FolderLockedError') return told(error.message, EXIT.unavailable, 'database_locked');
  // What names the setting has the driver's own error behind it.
  const ofDriver = error.name.startsWith('Mongo') || (error.cause instanceof Error && error.cause.name.startsWith('Mongo'));
  if (ofDriver) return told(error.message, EXIT.unavailable, 'database_unavailable');
  return null;
}

function ofApi(error: ApiError): Told {
  const { errors } = error.problem;
  const faults = (Array.isArray(errors) ? (errors as { field?: unknown; message?: unknown }[]) : []).map(
    ({ field, message }) => ({
      field: String(field),
      message: String(message),
    }),
  );
  const { status } = error;
  const exitCode = status === 404 ? 3 : status === 401 || status === 403 ? 4 : status >= 429 ? 5 : 1;
  return { ...told(error.message, exitCode, error.code, faults), message: sentence(`${error.message} (${error.code})`, faults) };
}

function told(
  message: string,
  exitCode: number,
  code: string | null,
  faults: EnvelopeError['errors'] = [],
  data: unknown = null,
): Told {
  const errors = faults.map(({ field, message }) => ({ field, message }));
  const error = { code: code ?? CODES[exitCode] ?? 'internal', message, exit_code: exitCode, errors };
  return { message: sentence(message, errors), exitCode, error, data };
}

function sentence(message: string, errors: EnvelopeError['errors']): string {
  return message + errors.map(({ field, message: fault }) => `\n  ${field} ${fault}`).join('');
}
