import { GoogleSettings, RateLimitSettings } from '@devpocket/config';
import { MINUTE_MS, rateLimited } from '@devpocket/http';
import { Counters } from '@devpocket/shared-state';
import { EMAIL_RULES, FULL_NAME_RULES, textFaults } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { OAuth2Client } from 'google-auth-library';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { googleNotConfigured, googleTokenInvalid } from './google.errors';
import { GoogleProvider } from './google-provider';

const MOST_AVATAR_CHARACTERS = 2_048;

const HEADER = z.object({ alg: z.literal('RS256'), kid: z.string() });

/** Claims that are read (OpenID Connect Core 1.0 §2, §5.1). Some providers write the flag as a string. */
const CLAIMS = z.object({
  sub: z.string().min(1).max(255),
  nonce: z.string().optional(),
  email: z.string().optional(),
  email_verified: z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]).optional(),
  name: z.string().optional(),
  picture: z.string().optional(),
});
type Claims = Readonly<z.output<typeof CLAIMS>>;

/** Somebody whom Google knows, and who has shown there that the address is theirs. */
export interface GoogleProfile {
  readonly subject: string;
  readonly email: string;
  readonly fullName: string | null;
  readonly avatarUrl: string | null;
}

/** ID tokens of the provider (OpenID Connect Core 1.0 §3.1.3.7). */
@Injectable()
export class GoogleIdTokens {
  private readonly client = new OAuth2Client();

  constructor(
    private readonly provider: GoogleProvider,
    private readonly settings: GoogleSettings,
    private readonly limits: RateLimitSettings,
    private readonly counters: Counters,
  ) {}

  /**
   * Whose token it is. Counts for the rate limit of its identity.
   * @param nonce that it must have been made for; undefined: the caller made none
   * @param accessToken given with it; claims that the token does not have are asked for with it
   * @throws DomainError `google_token_invalid | google_not_configured | rate_limited | unavailable`
   */
  async verify(token: string, nonce: string | undefined, accessToken?: string): Promise<GoogleProfile> {
    const claims = await this.claimsOf(token);
    if (nonce !== undefined && claims.nonce !== nonce) throw googleTokenInvalid();
    await this.count(claims.sub);
    if (claims.email !== undefined || accessToken === undefined) return profileOf(claims);
    const further = CLAIMS.safeParse(await this.provider.userInfo(accessToken));
    // §5.3.2: an answer about somebody else must not be used.
    if (!further.success || further.data.sub !== claims.sub) throw googleTokenInvalid();
    return profileOf(further.data);
  }

  /**
   * The library's own `verifyIdToken` knows Google's keys alone, so the issuer's are handed to what is below it. That checks against the
   * machine's clock, takes any key for RS256 whatever the header says, and has the token in its errors: they go no further.
   */
  private async claimsOf(token: string): Promise<Claims> {
    const { clientId, issuer } = this.settings;
    if (clientId === null) throw googleNotConfigured();
    const { kid } = read(HEADER, headerOf(token));
    const keys = await this.provider.keysWith(kid);
    // Google has written its name without the scheme too.
    const issuers = [issuer, `${issuer}/`, ...(issuer === 'https://accounts.google.com' ? ['accounts.google.com'] : [])];
    const ticket = await this.client.verifySignedJwtWithCertsAsync(token, { ...keys }, clientId, issuers).catch(() => {
      throw googleTokenInvalid();
    });
    return read(CLAIMS, ticket.getPayload());
  }

  private async count(subject: string): Promise<void> {
    if (!this.limits.enabled) return;
    const whose = createHash('sha256').update(subject).digest('base64url');
    const hit = await this.counters.hit(`auth:google:${whose}`, this.limits.authPerMinute, MINUTE_MS);
    if (!hit.allowed) throw rateLimited(hit);
  }
}

function headerOf(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString('utf8'));
  } catch {
    throw googleTokenInvalid();
  }
}

function read<T>(shape: z.ZodType<T>, value: unknown): T {
  const result = shape.safeParse(value);
  if (!result.success) throw googleTokenInvalid();
  return result.data;
}

/** An address that Google has not checked is anybody's. */
function profileOf({ sub, email, email_verified: isVerified, name, picture }: Claims): GoogleProfile {
  if (email === undefined || isVerified !== true || textFaults('email', email, EMAIL_RULES).length > 0)
    throw googleTokenInvalid();
  const fullName = name?.trim() || null;
  const isName = fullName !== null && textFaults('full_name', fullName, FULL_NAME_RULES).length === 0;
  return { subject: sub, email, fullName: isName ? fullName : null, avatarUrl: isAvatar(picture) ? picture : null };
}

function isAvatar(picture: string | undefined): picture is string {
  return (
    picture !== undefined && picture.length <= MOST_AVATAR_CHARACTERS && picture.startsWith('https:') && URL.canParse(picture)
  );
}
