import { DomainError } from '@devpocket/kernel';
import { type Principal, type Scope } from './principal';
import { type RouteAccess } from './route-access';

/** May this principal call such a route? @throws DomainError 403 `forbidden | scope_missing` */
export function checkAccess(access: RouteAccess, principal: Principal): void {
  switch (access.kind) {
    case 'public':
    case 'credential':
      return;
    case 'session':
      if (principal.credential.kind !== 'session') throw forbidden('API keys cannot be used here; sign in instead');
      return;
    case 'scope':
      checkScope(access.scope, principal);
      return;
    case 'admin':
      if (principal.role !== 'admin') throw forbidden('Only administrators may do this');
      checkScope('admin', principal);
      return;
  }
}

/** @throws DomainError 403 `scope_missing` */
export function checkScope(scope: Scope, principal: Principal): void {
  if (principal.scopes.has(scope)) return;
  throw new DomainError('forbidden', 'scope_missing', `This API key lacks the scope ${scope}`, { extra: { scope } });
}

function forbidden(message: string): DomainError {
  return new DomainError('forbidden', 'forbidden', message);
}
