import { SetMetadata } from '@nestjs/common';
import { type Reflector } from '@nestjs/core';
import { type Scope } from './principal';

/**
 * Who may call a route. `session`: signed-in people, no API key; what every route is that says nothing else. `scope`: sessions,
 * and keys with that scope. `credential`: sessions and every key. `admin`: administrators, by key only with scope `admin`.
 */
export type RouteAccess =
  | { readonly kind: 'public' }
  | { readonly kind: 'session' }
  | { readonly kind: 'credential' }
  | { readonly kind: 'scope'; readonly scope: Scope }
  | { readonly kind: 'admin' };

type Target = Parameters<Reflector['get']>[1];

const KEY = 'access:route';
const TICKET_KEY = 'access:ticket';
const set = (access: RouteAccess): MethodDecorator & ClassDecorator => SetMetadata(KEY, access);

/** Needs no credential. */
export const Public = (): MethodDecorator & ClassDecorator => set({ kind: 'public' });

/** Administrators only: 403 `forbidden` to everyone else, 403 `scope_missing` to an administrator's key without scope `admin`. */
export const Admin = (): MethodDecorator & ClassDecorator => set({ kind: 'admin' });

/** Opens a route to API keys that have the scope: 403 `scope_missing` to those that do not. */
export const NeedsScope = (scope: Scope): MethodDecorator & ClassDecorator => set({ kind: 'scope', scope });

/** Opens a route to every API key, whatever its scopes. */
export const AnyCredential = (): MethodDecorator & ClassDecorator => set({ kind: 'credential' });

/** Also takes `?ticket=` of this purpose, before any token: for clients that cannot send headers. */
export const AcceptsTicket = (purpose: 'events'): MethodDecorator => SetMetadata(TICKET_KEY, purpose);

/** The purpose of the tickets that a route takes, if any. */
export function ticketPurposeOf(reflector: Reflector, handler: Target): 'events' | null {
  return reflector.get<'events' | undefined>(TICKET_KEY, handler) ?? null;
}

/**
 * What the guard goes by; for the table of routes that a spec checks. The handler's word counts before its controller's.
 * @param handler the controller's method
 * @param controller the controller's class
 */
export function routeAccess(reflector: Reflector, handler: Target, controller: Target): RouteAccess {
  const told = reflector.getAllAndOverride<RouteAccess | undefined>(KEY, [handler, controller]);
  return told ?? { kind: 'session' };
}
