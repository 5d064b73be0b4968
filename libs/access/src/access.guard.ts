import { DomainError } from '@devpocket/kernel';
import { type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard, type IAuthGuard } from '@nestjs/passport';
import { checkAccess } from './access.policy';
import { type Principal } from './principal';
import { routeAccess, ticketPurposeOf } from './route-access';
import { StrategyName } from './strategy-name';

/** A request as the guard leaves it. */
export interface AuthenticatedRequest {
  principal?: Principal;
  /** Of the tickets that its route takes; whoever authenticates reads it. */
  ticketPurpose?: 'events';
}

/** Guards every HTTP route, closed by default: who calls, and may they? Leaves the answer as `request.principal`. */
@Injectable()
export class AccessGuard extends AuthGuard() {
  constructor(
    private readonly reflector: Reflector,
    strategy: StrategyName,
  ) {
    super({ defaultStrategy: strategy.value });
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    // Sockets are authenticated at their handshake, before Nest sees them; any other way in is not meant to be.
    if (context.getType() !== 'http') throw new DomainError('forbidden', 'forbidden', 'Not allowed');
    const access = routeAccess(this.reflector, context.getHandler(), context.getClass());
    if (access.kind === 'public') return true;
    const purpose = ticketPurposeOf(this.reflector, context.getHandler());
    if (purpose) context.switchToHttp().getRequest<AuthenticatedRequest>().ticketPurpose = purpose;
    await super.canActivate(context);
    checkAccess(access, principalOf(context));
    return true;
  }

  override getAuthenticateOptions(): ReturnType<IAuthGuard['getAuthenticateOptions']> {
    return { session: false, property: 'principal' };
  }

  /** Passport's outcome: `error` was thrown, `principal` is false and `info` an Error when there is no good token. */
  override handleRequest<User>(error: unknown, principal: User | false | null, info: unknown): User {
    if (error) throw error instanceof Error ? error : new Error('Authentication failed', { cause: error });
    if (principal) return principal;
    if (info instanceof Error && info.message === 'No auth token') {
      throw new DomainError('unauthenticated', 'token_missing', 'An access token is needed: Authorization: Bearer <token>');
    }
    throw new DomainError('unauthenticated', 'token_invalid', 'The access token is not valid');
  }
}

/** @throws Error on a public route, where nobody was authenticated: a fault of the program. */
export function principalOf(context: ExecutionContext): Principal {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new Error('This route is public: it has no principal');
  return principal;
}
