import { type User } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { AccessTokens } from './access-tokens';
import { RefreshTokens } from './refresh-tokens';

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Seconds that the access token lives. */
  readonly expiresIn: number;
}

/** What a signed-in client holds: an access token for the calls and a refresh token for the next one. */
@Injectable()
export class TokenPairs {
  constructor(
    private readonly access: AccessTokens,
    readonly refresh: RefreshTokens,
  ) {}

  async issue(user: User, sessionId: string, refreshToken: string): Promise<TokenPair> {
    return { accessToken: await this.access.issue(user, sessionId), refreshToken, expiresIn: this.access.lifetime };
  }
}
