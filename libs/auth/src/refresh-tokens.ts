import { Injectable } from '@nestjs/common';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { AuthKeys } from './auth-keys';

const ID_BYTES = 12;
const SECRET_BYTES = 32;
const TAG_BYTES = 16;
const FORM = /^[A-Za-z0-9_-]{80}$/;

/**
 * Refresh tokens: session id, secret and a tag that shows we made it, as base64url. Each token's successor is an HMAC of the
 * token, so the same one can be given again while nothing but hashes is kept.
 */
@Injectable()
export class RefreshTokens {
  constructor(private readonly keys: AuthKeys) {}

  /** A session's first token. */
  first(sessionId: string): string {
    return this.token(Buffer.from(sessionId, 'hex'), randomBytes(SECRET_BYTES));
  }

  /** The token that follows, always the same for the same one. */
  successor(token: string): string {
    const bytes = Buffer.from(token, 'base64url');
    return this.token(bytes.subarray(0, ID_BYTES), this.keys.mac('refresh-successor', bytes));
  }

  /** Whose token it is, if we made it; null for any other text. Says nothing of whether it is still good. */
  sessionOf(token: string): string | null {
    if (!FORM.test(token)) return null;
    const bytes = Buffer.from(token, 'base64url');
    const body = bytes.subarray(0, ID_BYTES + SECRET_BYTES);
    if (!timingSafeEqual(bytes.subarray(body.length), this.tag(body))) return null;
    return body.toString('hex', 0, ID_BYTES);
  }

  /** What is kept of a token. Its 256 random bits need no salt. */
  hash(token: string): string {
    return createHash('sha256').update(token).digest('base64url');
  }

  private token(id: Uint8Array, secret: Uint8Array): string {
    const body = Buffer.concat([id, secret]);
    return Buffer.concat([body, this.tag(body)]).toString('base64url');
  }

  private tag(body: Uint8Array): Buffer {
    return this.keys.mac('refresh-tag', body).subarray(0, TAG_BYTES);
  }
}
