/** What the guard answers, for the API document. */
export const TOKEN_FAULTS = { 401: ['token_missing', 'token_invalid', 'token_expired', 'session_revoked'] };

/** What a call with a body may answer before it does anything. */
export const BODY_FAULTS = {
  400: ['malformed_json'],
  413: ['body_too_large'],
  415: ['unsupported_media_type'],
  422: ['validation_error'],
};
