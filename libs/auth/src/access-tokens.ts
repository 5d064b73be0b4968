import { AuthSettings } from '@devpocket/config';
import { Clock } from '@devpocket/kernel';
import { type User } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { randomUUID } from 'node:crypto';
import { type AccessClaims, readClaims } from './access-token.policy';
import { tokenInvalid } from './auth.errors';

/** Access tokens: JWT, HS256 (RFC 7519), checked against the clock that is given rather than the machine's. */
@Injectable()
export class AccessTokens {
  constructor(
    private readonly jwt: JwtService,
    private readonly settings: AuthSettings,
    private readonly clock: Clock,
  ) {}

  /** Seconds that a new token lives. */
  get lifetime(): number {
    return this.settings.accessTokenMinutes * 60;
  }

  issue(user: User, sessionId: string): Promise<string> {
    const iat = Math.floor(this.clock.millis() / 1000);
    const claims: AccessClaims = {
      sub: user.id,
      username: user.username,
      email: user.email,
      sid: sessionId,
      type: 'access_token',
      iat,
      exp: iat + this.lifetime,
      jti: randomUUID(),
    };
    return this.jwt.signAsync({ ...claims });
  }

  /** @throws DomainError `token_invalid | token_expired` */
  async read(token: string): Promise<AccessClaims> {
    const payload: unknown = await this.jwt.verifyAsync<object>(token).catch(() => {
      throw tokenInvalid();
    });
    return this.claimsOf(payload);
  }

  /** The claims of a token whose signature was checked already. @throws DomainError `token_invalid | token_expired` */
  claimsOf(payload: unknown): AccessClaims {
    return readClaims(payload, this.clock.now());
  }
}
