import { DomainError } from '@devpocket/kernel';

/** Of every fault of a token, and of an account that is shut out: they are not told apart. */
export const googleTokenInvalid = (): DomainError =>
  new DomainError('unauthenticated', 'google_token_invalid', 'This Google sign-in is not valid');

export const googleLinkRequired = (): DomainError =>
  new DomainError(
    'invalid_state',
    'google_link_required',
    'There is an account with this address; sign in to it and link Google there',
  );

export const googleIdentityTaken = (): DomainError =>
  new DomainError('duplicate', 'google_identity_taken', 'This Google identity is joined to another account');

export const googleCodeInvalid = (): DomainError =>
  new DomainError('unauthenticated', 'google_code_invalid', 'This code is not valid: it was used, has expired, or never was one');

export const googleStateInvalid = (): DomainError =>
  new DomainError('unauthenticated', 'google_state_invalid', 'This sign-in did not begin in this browser, or too long ago');

export const googleDenied = (): DomainError =>
  new DomainError('unauthenticated', 'access_denied', 'The sign-in was not allowed at Google');

export const googleNotConfigured = (): DomainError =>
  new DomainError('unavailable', 'google_not_configured', 'This server has no Google sign-in', { retryAfter: 3600 });

export const googleUnavailable = (cause?: unknown): DomainError =>
  new DomainError('unavailable', 'unavailable', 'Google does not answer; try again', { retryAfter: 5, cause });
