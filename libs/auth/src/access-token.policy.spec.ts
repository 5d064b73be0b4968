import { DomainError } from '@devpocket/kernel';
import { readClaims } from './access-token.policy';

const NOW = new Date('2026-01-01T00:00:00.000Z');
const SECONDS = NOW.getTime() / 1000;
const claims = {
  sub: 'a'.repeat(24),
  username: 'ada',
  email: 'ada@example.com',
  sid: 'b'.repeat(24),
  type: 'access_token',
  iat: SECONDS - 10,
  exp: SECONDS + 10,
  jti: 'c',
};

const codeOf = (payload: unknown): string => {
  try {
    readClaims(payload, NOW);
    return 'ok';
  } catch (error) {
    return error instanceof DomainError ? error.code : 'other';
  }
};

describe('readClaims', () => {
  it.each<[string, unknown, string]>([
    ['a good token', claims, 'ok'],
    ['one with further claims', { ...claims, extra: 1 }, 'ok'],
    ['the last moment before the end', { ...claims, exp: SECONDS + 1 }, 'ok'],
    ['the end itself', { ...claims, exp: SECONDS }, 'token_expired'],
    ['one of a server whose clock is a minute ahead', { ...claims, iat: SECONDS + 60, exp: SECONDS + 99 }, 'ok'],
    ['one that was made in the future', { ...claims, iat: SECONDS + 61, exp: SECONDS + 99 }, 'token_invalid'],
    ['another type', { ...claims, type: 'refresh_token' }, 'token_invalid'],
    ['no type', { ...claims, type: undefined }, 'token_invalid'],
    ['no end', { ...claims, exp: undefined }, 'token_invalid'],
    ['a text for an end', { ...claims, exp: '99999999999' }, 'token_invalid'],
    ['no session', { ...claims, sid: undefined }, 'token_invalid'],
    ['a query for a session', { ...claims, sid: { $ne: null } }, 'token_invalid'],
    ['a malformed subject', { ...claims, sub: 'ada' }, 'token_invalid'],
    ['a text', 'claims', 'token_invalid'],
    ['nothing', undefined, 'token_invalid'],
  ])('%s', (_, payload, expected) => expect(codeOf(payload)).toBe(expected));
});
