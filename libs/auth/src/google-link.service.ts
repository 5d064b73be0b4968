import { type Principal } from '@devpocket/access';
import { type RequestOrigin } from '@devpocket/http';
import { Injectable } from '@nestjs/common';
import { GoogleAccountsService } from './google-accounts.service';
import { GoogleIdTokens } from './google-id-tokens';
import { OwnerCheck } from './owner-check';

/** Joins a Google identity to the account of somebody who is signed in. */
@Injectable()
export class GoogleLinkService {
  constructor(
    private readonly tokens: GoogleIdTokens,
    private readonly owner: OwnerCheck,
    private readonly accounts: GoogleAccountsService,
  ) {}

  /**
   * @param password left out: an account without one, which a Google sign-in of this moment confirms
   * @throws DomainError `google_token_invalid | google_identity_taken | google_not_configured | wrong_password | account_locked |
   * google_sign_in_needed | validation_error | rate_limited | unavailable`
   */
  async link(
    caller: Principal,
    {
      token,
      nonce,
      password,
    }: { readonly token: string; readonly nonce: string | undefined; readonly password: string | undefined },
    origin: RequestOrigin,
  ): Promise<void> {
    // First: a token that is none costs no try of the password.
    const profile = await this.tokens.verify(token, nonce);
    await this.accounts.join(profile, await this.owner.byEither(caller, password, 'current_password'), origin);
  }
}
