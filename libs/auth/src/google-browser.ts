import { GoogleSettings } from '@devpocket/config';
import { type RequestOrigin } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { CredentialsService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { type Request } from 'express';
import { randomBytes } from 'node:crypto';
import { GoogleFlows } from './google-flows';
import { GoogleProvider } from './google-provider';
import { GoogleSignInService } from './google-sign-in.service';
import { GoogleStateStore } from './google-state-store';
import { GoogleStrategy } from './google.strategy';
import { googleCodeInvalid, googleDenied, googleNotConfigured, googleStateInvalid } from './google.errors';
import { SessionStarter } from './session-starter';
import { type TokenPair } from './token-pairs';

/** Sign-in by way of a browser: there and back with redirects, and a code that only the app which began it can exchange. */
@Injectable()
export class GoogleBrowser {
  constructor(
    private readonly settings: GoogleSettings,
    private readonly provider: GoogleProvider,
    private readonly store: GoogleStateStore,
    private readonly flows: GoogleFlows,
    private readonly signIn: GoogleSignInService,
    private readonly accounts: CredentialsService,
    private readonly starter: SessionStarter,
  ) {}

  /**
   * Where Google asks who it is; the request's answer gets the cookie.
   * @param codeChallenge of the app, by S256
   * @throws DomainError `google_not_configured | unavailable`
   */
  async begin(request: Request, codeChallenge: string): Promise<string> {
    const strategy = await this.strategy();
    const nonce = randomBytes(32).toString('base64url');
    const outcome = await strategy.run(request, { nonce, codeChallenge });
    if (!('location' in outcome)) throw googleStateInvalid();
    return outcome.location;
  }

  /**
   * The app's address with a code, or with what is wrong: a person in a browser can do nothing with a problem document. It is always the
   * address of the settings.
   * @throws DomainError `google_not_configured`
   */
  async finish(request: Request, origin: RequestOrigin): Promise<string> {
    const { redirect } = this.settings;
    if (redirect === null) throw googleNotConfigured();
    const address = new URL(redirect.successRedirect);
    try {
      address.searchParams.set('code', await this.codeFor(request, origin));
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      address.searchParams.set('error', error.code);
    }
    return address.href;
  }

  /** @throws DomainError `google_code_invalid | google_not_configured` */
  async exchange(code: string, verifier: string, origin: RequestOrigin): Promise<TokenPair> {
    if (this.settings.redirect === null) throw googleNotConfigured();
    const grant = await this.flows.redeem(code, verifier);
    const account = grant && (await this.accounts.find(grant.userId));
    // Between the two the account may have been shut out, or its password changed.
    if (!account?.user.isActive || account.sessionEpoch !== grant?.sessionEpoch) {
      await this.starter.refused(account?.user.id ?? null, 'google', 'google_code_invalid', origin);
      throw googleCodeInvalid();
    }
    return this.starter.begin(account, 'google', origin);
  }

  private async codeFor(request: Request, origin: RequestOrigin): Promise<string> {
    const { error, code, state } = request.query;
    if (error !== undefined) throw error === 'access_denied' ? googleDenied() : googleStateInvalid();
    if (typeof code !== 'string' || typeof state !== 'string' || code === '') throw googleStateInvalid();
    const strategy = await this.strategy();
    const outcome = await strategy.run(request, null);
    if (!('tokens' in outcome)) throw googleStateInvalid();
    const { tokens, flow } = outcome;
    const account = await this.signIn.enter(tokens.idToken, flow.nonce, tokens.accessToken, origin);
    return this.flows.issueCode(flow.state, flow.codeChallenge, account);
  }

  private async strategy(): Promise<GoogleStrategy> {
    const { clientId, redirect } = this.settings;
    if (clientId === null || redirect === null) throw googleNotConfigured();
    const { provider, store } = this;
    return new GoogleStrategy({ provider, endpoints: await provider.endpoints(), store, clientId, redirect });
  }
}
