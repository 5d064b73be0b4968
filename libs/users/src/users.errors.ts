import { DomainError } from '@devpocket/kernel';

export const emailTaken = (): DomainError => new DomainError('duplicate', 'email_taken', 'Email already registered');
export const usernameTaken = (): DomainError => new DomainError('duplicate', 'username_taken', 'Username already taken');
export const registrationClosed = (): DomainError =>
  new DomainError('forbidden', 'registration_closed', 'This server takes no further accounts');
export const userNotFound = (): DomainError => DomainError.notFound('User');
