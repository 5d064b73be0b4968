import { DomainError } from '@devpocket/kernel';
import { checkAccess } from './access.policy';
import { type Principal, type Role, type Scope, SCOPES } from './principal';
import { type RouteAccess } from './route-access';

const principal = (kind: 'session' | 'api_key', role: Role, scopes: readonly Scope[] = SCOPES): Principal => ({
  userId: 'a'.repeat(24),
  username: 'ada',
  role,
  plan: 'free',
  isVerified: true,
  credential: { kind, id: 'b'.repeat(24), userId: 'a'.repeat(24) },
  scopes: new Set(scopes),
  expiresAt: null,
});

const outcome = (access: RouteAccess, caller: Principal): string => {
  try {
    checkAccess(access, caller);
    return 'ok';
  } catch (error) {
    return error instanceof DomainError ? `${error.kind} ${error.code}` : 'other';
  }
};

const ROUTES = {
  session: { kind: 'session' },
  credential: { kind: 'credential' },
  reads: { kind: 'scope', scope: 'env:read' },
  admin: { kind: 'admin' },
} as const satisfies Record<string, RouteAccess>;

describe('who may call what', () => {
  const callers = {
    user: principal('session', 'user'),
    admin: principal('session', 'admin'),
    readingKey: principal('api_key', 'user', ['env:read']),
    writingKey: principal('api_key', 'user', ['env:write']),
    userKeyWithAdmin: principal('api_key', 'user', ['admin']),
    adminKey: principal('api_key', 'admin', ['admin']),
    adminsReadingKey: principal('api_key', 'admin', ['env:read']),
  };

  it.each<[keyof typeof callers, Record<keyof typeof ROUTES, string>]>([
    ['user', { session: 'ok', credential: 'ok', reads: 'ok', admin: 'forbidden forbidden' }],
    ['admin', { session: 'ok', credential: 'ok', reads: 'ok', admin: 'ok' }],
    ['readingKey', { session: 'forbidden forbidden', credential: 'ok', reads: 'ok', admin: 'forbidden forbidden' }],
    [
      'writingKey',
      { session: 'forbidden forbidden', credential: 'ok', reads: 'forbidden scope_missing', admin: 'forbidden forbidden' },
    ],
    [
      'userKeyWithAdmin',
      { session: 'forbidden forbidden', credential: 'ok', reads: 'forbidden scope_missing', admin: 'forbidden forbidden' },
    ],
    ['adminKey', { session: 'forbidden forbidden', credential: 'ok', reads: 'forbidden scope_missing', admin: 'ok' }],
    ['adminsReadingKey', { session: 'forbidden forbidden', credential: 'ok', reads: 'ok', admin: 'forbidden scope_missing' }],
  ])('%s', (name, expected) => {
    const seen = Object.fromEntries(Object.entries(ROUTES).map(([route, access]) => [route, outcome(access, callers[name])]));
    expect(seen).toEqual(expected);
  });
});
