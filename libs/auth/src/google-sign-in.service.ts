import { type RequestOrigin } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { type Credentials } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { GoogleAccountsService } from './google-accounts.service';
import { GoogleIdTokens } from './google-id-tokens';
import { googleTokenInvalid } from './google.errors';
import { SessionStarter } from './session-starter';
import { type TokenPair } from './token-pairs';

/** An ID token for a session. */
@Injectable()
export class GoogleSignInService {
  constructor(
    private readonly tokens: GoogleIdTokens,
    private readonly accounts: GoogleAccountsService,
    private readonly starter: SessionStarter,
  ) {}

  /**
   * @param nonce that the token must have been made for; undefined: the caller made none
   * @throws DomainError `google_token_invalid | google_link_required | google_not_configured | registration_closed | rate_limited | unavailable`
   */
  async signIn(token: string, nonce: string | undefined, origin: RequestOrigin): Promise<TokenPair> {
    return this.starter.begin(await this.enter(token, nonce, undefined, origin), 'google', origin);
  }

  /**
   * The account that a token lets in, before there is a session.
   * @throws DomainError as `signIn`
   */
  async enter(
    token: string,
    nonce: string | undefined,
    accessToken: string | undefined,
    origin: RequestOrigin,
  ): Promise<Credentials> {
    let account: Credentials | null = null;
    try {
      account = await this.accounts.of(await this.tokens.verify(token, nonce, accessToken), origin);
      if (!account.user.isActive) throw googleTokenInvalid();
      return account;
    } catch (error) {
      if (error instanceof DomainError && REFUSALS.includes(error.code)) {
        await this.starter.refused(account?.user.id ?? null, 'google', error.code, origin);
      }
      throw error;
    }
  }
}

/** What is in the audit trail; a provider that is down refuses nobody. */
const REFUSALS = ['google_token_invalid', 'google_link_required', 'registration_closed'];
