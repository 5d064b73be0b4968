import { type GoogleRedirectSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { type Request } from 'express';
import { type GoogleCallbackParameters, Strategy, type VerifyCallback } from 'passport-google-oauth20';
import { type StateStore } from 'passport-oauth2';
import { z } from 'zod';
import { googleStateInvalid, googleUnavailable } from './google.errors';
import { type GoogleEndpoints, type GoogleProvider } from './google-provider';
import { type BegunFlow, type GoogleFlow, type GoogleStateStore } from './google-state-store';

const TOKENS = z.object({ access_token: z.string(), id_token: z.string() });

interface GoogleTokens {
  readonly accessToken: string;
  readonly idToken: string;
}

/** Where to send the browser, or with what it came back. */
type Outcome = { readonly location: string } | { readonly tokens: GoogleTokens; readonly flow: GoogleFlow };

interface StrategyNeeds {
  readonly provider: GoogleProvider;
  readonly endpoints: GoogleEndpoints;
  readonly store: GoogleStateStore;
  readonly clientId: string;
  readonly redirect: GoogleRedirectSettings;
}

/** Passport's strategy, for one request: the endpoints are known only when the issuer has told them. */
export class GoogleStrategy extends Strategy {
  constructor({ provider, endpoints, store, clientId, redirect }: StrategyNeeds) {
    super(
      {
        clientID: clientId,
        clientSecret: redirect.clientSecret,
        callbackURL: redirect.redirectUri,
        authorizationURL: endpoints.authorization_endpoint,
        tokenURL: endpoints.token_endpoint,
        userProfileURL: endpoints.userinfo_endpoint,
        scope: ['openid', 'email', 'profile'],
        pkce: true,
        // The types know only stores without PKCE.
        store: store as unknown as StateStore,
        // The ID token says who it is, and is signed.
        skipUserProfile: true,
      },
      (accessToken: string, _refresh: string, answer: GoogleCallbackParameters, _profile: unknown, done: VerifyCallback) =>
        done(null, { accessToken, idToken: answer.id_token }),
    );
    // The client below waits for ever for an answer.
    Object.assign(this._oauth2, {
      getOAuthAccessToken: (code: string, parameters: Readonly<Record<string, string>>, done: TokensCallback) => {
        const credentials = { client_id: clientId, client_secret: redirect.clientSecret };
        provider.redeem({ ...parameters, code, ...credentials }).then(
          (answer) => {
            const read = TOKENS.safeParse(answer);
            if (read.success) done(null, read.data.access_token, undefined, read.data);
            else done(googleUnavailable(new Error('The token endpoint answered something else')));
          },
          (error: unknown) => done(error),
        );
      },
    });
  }

  override authorizationParams(options: BegunFlow): object {
    return { ...super.authorizationParams(options), nonce: options.nonce };
  }

  /** @param flow null: the browser comes back @throws DomainError `google_state_invalid | google_token_invalid | unavailable` */
  run(request: Request, flow: BegunFlow | null): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      Object.assign(this, {
        redirect: (location: string) => resolve({ location }),
        success: (tokens: GoogleTokens, { state }: { readonly state: GoogleFlow }) => resolve({ tokens, flow: state }),
        fail: () => reject(googleStateInvalid()),
        error: (error: unknown) => reject(reasonOf(error)),
      });
      this.authenticate(request, flow ? { state: flow, nonce: flow.nonce } : {});
    });
  }
}

type TokensCallback = (error: unknown, accessToken?: string, refreshToken?: string, answer?: object) => void;

/** Passport wraps what the token endpoint was. */
function reasonOf(error: unknown): Error {
  const inner = typeof error === 'object' && error !== null && 'oauthError' in error ? error.oauthError : error;
  if (inner instanceof DomainError || inner instanceof Error) return inner;
  return new Error('The sign-in failed', { cause: error });
}
