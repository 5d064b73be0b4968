import { DomainError } from '@devpocket/kernel';

const unauthenticated = (code: string, message: string): DomainError => new DomainError('unauthenticated', code, message);

export const invalidCredentials = (): DomainError =>
  unauthenticated('invalid_credentials', 'Incorrect username/email or password');
export const tokenInvalid = (): DomainError => unauthenticated('token_invalid', 'The token is not valid');
export const tokenExpired = (): DomainError => unauthenticated('token_expired', 'The token has expired');
export const sessionRevoked = (): DomainError => unauthenticated('session_revoked', 'This session has ended; sign in again');
export const refreshReused = (): DomainError =>
  unauthenticated('refresh_reused', 'This refresh token was used before; its session has been ended for safety');

export const mailTokenInvalid = (): DomainError =>
  new DomainError('invalid_state', 'token_invalid', 'This code is not valid: it was used, has expired, or never was one');

export const googleSignInNeeded = (): DomainError =>
  new DomainError('forbidden', 'google_sign_in_needed', 'Sign in with Google again; this has to follow within five minutes');

const LOCKED = 'Account is temporarily locked due to too many failed attempts';

/** 401 at sign-in, 403 where somebody is signed in already. */
export const accountLocked = (kind: 'unauthenticated' | 'forbidden'): DomainError =>
  new DomainError(kind, 'account_locked', LOCKED);

export const wrongPassword = (): DomainError =>
  new DomainError('forbidden', 'wrong_password', 'The current password is not right');
