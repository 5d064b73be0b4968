import { z } from 'zod';
import { tokenExpired, tokenInvalid } from './auth.errors';

const ID = z.string().regex(/^[0-9a-f]{24}$/);
const SECONDS = z.number().int().nonnegative();

const CLAIMS = z.object({
  sub: ID,
  username: z.string(),
  email: z.string(),
  sid: ID,
  type: z.literal('access_token'),
  iat: SECONDS,
  exp: SECONDS,
  jti: z.string(),
});

/** Servers that share a key may differ so much in their clocks. */
const SKEW_MS = 60_000;

/** What an access token says (contract §2). Times in seconds since the epoch. */
export type AccessClaims = Readonly<z.output<typeof CLAIMS>>;

/**
 * Reads the claims of a token whose signature holds.
 * @throws DomainError `token_invalid | token_expired`
 */
export function readClaims(payload: unknown, now: Date): AccessClaims {
  const claims = CLAIMS.safeParse(payload);
  if (!claims.success) throw tokenInvalid();
  // Nobody has made it yet: what is dated ahead would outlive the change of a clock.
  if (claims.data.iat * 1000 > now.getTime() + SKEW_MS) throw tokenInvalid();
  if (claims.data.exp * 1000 <= now.getTime()) throw tokenExpired();
  return claims.data;
}
