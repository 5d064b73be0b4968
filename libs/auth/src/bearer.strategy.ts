import { type Principal, StrategyName } from '@devpocket/access';
import { AuthSettings } from '@devpocket/config';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { accessTokenKey } from './auth-keys';
import { SessionAuthenticator } from './session-authenticator';

/** Passport's way to the authenticator: it checks the signature, the rest is decided there, as for sockets. */
@Injectable()
export class BearerStrategy extends PassportStrategy(Strategy) implements OnModuleDestroy {
  constructor(
    private readonly strategy: StrategyName,
    private readonly authenticator: SessionAuthenticator,
    settings: AuthSettings,
  ) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      // Handed on to jsonwebtoken, which takes a KeyObject; the types of passport-jwt do not know of it.
      secretOrKey: accessTokenKey(settings) as unknown as Buffer,
      algorithms: ['HS256'],
      // Read by the authenticator, against the clock that is given.
      ignoreExpiration: true,
    });
    passport.use(strategy.value, this);
  }

  validate(payload: unknown): Promise<Principal> {
    return this.authenticator.principalOf(payload);
  }

  onModuleDestroy(): void {
    passport.unuse(this.strategy.value);
  }
}
