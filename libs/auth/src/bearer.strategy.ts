import { type AuthenticatedRequest, type CredentialRef, type Principal, StrategyName } from '@devpocket/access';
import { AuthSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { Tickets } from '@devpocket/shared-state';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { type Request } from 'express';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { accessTokenKey } from './auth-keys';
import { API_KEY_PREFIX } from './api-key.policy';
import { CredentialAuthenticator } from './credential-authenticator';

const fromHeader = ExtractJwt.fromAuthHeaderAsBearerToken();

/** Passport's way to the authenticator: it checks a token's signature, the rest and API keys are decided there, as for sockets. */
@Injectable()
export class BearerStrategy extends PassportStrategy(Strategy) implements OnApplicationShutdown {
  constructor(
    private readonly strategy: StrategyName,
    private readonly authenticator: CredentialAuthenticator,
    private readonly tickets: Tickets<CredentialRef>,
    settings: AuthSettings,
  ) {
    super({
      jwtFromRequest: fromHeader,
      // Handed on to jsonwebtoken, which takes a KeyObject; the types of passport-jwt do not know of it.
      secretOrKey: accessTokenKey(settings) as unknown as Buffer,
      algorithms: ['HS256'],
      // Read by the authenticator, against the clock that is given.
      ignoreExpiration: true,
    });
    passport.use(strategy.value, this);
  }

  override authenticate(request: Request & AuthenticatedRequest, options?: unknown): void {
    const { ticket } = request.query;
    const bearer = fromHeader(request);
    if (request.ticketPurpose && typeof ticket === 'string') this.settle(this.byTicket(ticket, request.ticketPurpose));
    else if (bearer?.startsWith(API_KEY_PREFIX)) this.settle(this.authenticator.authenticate(bearer));
    else super.authenticate(request, options);
  }

  private settle(outcome: Promise<Principal>): void {
    outcome.then(
      (principal) => this.success(principal),
      (error: Error) => this.error(error),
    );
  }

  private async byTicket(ticket: string, purpose: 'events'): Promise<Principal> {
    const grant = await this.tickets.redeem(ticket, purpose, null);
    if (!grant)
      throw new DomainError('unauthenticated', 'ticket_invalid', 'The ticket is not valid, was used, or is older than 30 s');
    return this.authenticator.restore(grant.credential);
  }

  validate(payload: unknown): Promise<Principal> {
    return this.authenticator.principalOf(payload);
  }

  /** Not before: requests are answered until the server has closed. */
  onApplicationShutdown(): void {
    passport.unuse(this.strategy.value);
  }
}
