import { DomainError } from '@devpocket/kernel';

export const emailTaken = (): DomainError => new DomainError('duplicate', 'email_taken', 'Email already registered');
export const usernameTaken = (): DomainError => new DomainError('duplicate', 'username_taken', 'Username already taken');
export const registrationClosed = (): DomainError =>
  new DomainError('forbidden', 'registration_closed', 'This server takes no further accounts');
/** To its owner, whose request was let in a moment before. */
export const accountGone = (): DomainError =>
  new DomainError('unauthenticated', 'session_revoked', 'This session has ended; sign in again');
export const userNotFound = (): DomainError => DomainError.notFound('User');
