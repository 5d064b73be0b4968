import { routeAccess } from '@devpocket/access';
import { SystemClock } from '@devpocket/kernel';
import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants';
import { ModulesContainer, Reflector } from '@nestjs/core';
import { FakeDriver } from '@testing/runtime';
import { TestApi } from '../testing';

/** Who may call what: `public`, any `credential`, a `session` (no API key), a key with a scope (or a session), or an `admin`. */
const ROUTES: Readonly<Record<string, string>> = {
  'GET /': 'public',
  'GET /health': 'public',
  'GET /health/ready': 'public',
  'GET /health/live': 'public',
  'GET /metrics': 'public',
  'GET /info': 'public',

  'POST /auth/register': 'public',
  'POST /auth/login': 'public',
  'POST /auth/refresh': 'public',
  'POST /auth/verify-email': 'public',
  'POST /auth/resend-verification': 'session',
  'POST /auth/forgot-password': 'public',
  'POST /auth/reset-password': 'public',
  'GET /auth/me': 'credential',
  'POST /auth/logout': 'session',
  'GET /auth/sessions': 'session',
  'DELETE /auth/sessions/:id': 'session',
  'GET /auth/api-keys': 'session',
  'POST /auth/api-keys': 'session',
  'DELETE /auth/api-keys/:id': 'session',

  'GET /users/me': 'session',
  'PATCH /users/me': 'session',
  'PUT /users/me': 'session',
  'POST /users/me/password': 'session',
  'DELETE /users/me': 'session',
  'GET /users/me/allowance': 'env:read',
  'GET /users/me/audit': 'session',
  'GET /users': 'admin',
  'GET /users/:id': 'admin',
  'PATCH /users/:id': 'admin',

  'GET /templates': 'env:read',
  'GET /templates/:name': 'env:read',
  'POST /templates': 'admin',
  'PUT /templates/:name': 'admin',
  'DELETE /templates/:name': 'admin',

  'GET /environments': 'env:read',
  'POST /environments': 'env:write',
  'GET /environments/:id': 'env:read',
  'PATCH /environments/:id': 'env:write',
  'PUT /environments/:id': 'env:write',
  'DELETE /environments/:id': 'env:write',
  'POST /environments/:id/start': 'env:write',
  'POST /environments/:id/stop': 'env:write',
  'POST /environments/:id/restart': 'env:write',
  'POST /environments/:id/keepalive': 'env:write',
  'GET /environments/:id/metrics': 'env:read',
  'GET /environments/:id/logs': 'env:read',
  'GET /environments/:id/events': 'env:read',
  'POST /environments/:id/terminal-ticket': 'terminal',
  'GET /environments/:id/terminals': 'terminal',
  'DELETE /environments/:id/terminals/:sessionId': 'terminal',
  // The purpose in the body decides the scope.
  'POST /tickets': 'credential',

  'GET /clusters': 'admin',
  'POST /clusters': 'admin',
  'GET /clusters/regions': 'env:read',
  'GET /clusters/:id': 'admin',
  'PUT /clusters/:id': 'admin',
  'DELETE /clusters/:id': 'admin',
  'GET /clusters/:id/health': 'admin',

  'GET /admin/audit': 'admin',
  'GET /admin/environments': 'admin',
  'GET /admin/orphans': 'admin',
  'DELETE /admin/orphans/:id': 'admin',
};

function join(...parts: readonly string[]): string {
  return `/${parts
    .flatMap((part) => part.split('/'))
    .filter(Boolean)
    .join('/')}`;
}

/** Nest's path metadata: one path or several. */
const listOf = (value: unknown): string[] => [value].flat().map((path) => (typeof path === 'string' ? path : ''));

describe('the routes of the built app', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })]);
  beforeAll(() => api.start());
  afterAll(() => api.close());

  /** Every route of every controller, with who may call it by the guard's own reading. */
  function routes(): Record<string, string> {
    const reflector = new Reflector();
    const found: Record<string, string> = {};
    for (const module of api.running.app.get(ModulesContainer).values()) {
      for (const { metatype } of module.controllers.values()) {
        if (!metatype) continue;
        const prototype = metatype.prototype as Record<string, unknown>;
        for (const name of Object.getOwnPropertyNames(prototype)) {
          const handler = prototype[name];
          if (typeof handler !== 'function' || !Reflect.hasMetadata(METHOD_METADATA, handler)) continue;
          const method = RequestMethod[Number(Reflect.getMetadata(METHOD_METADATA, handler))] ?? '';
          const access = routeAccess(reflector, handler, metatype);
          for (const base of listOf(Reflect.getMetadata(PATH_METADATA, metatype))) {
            for (const path of listOf(Reflect.getMetadata(PATH_METADATA, handler))) {
              found[`${method} ${join(base, path)}`] = access.kind === 'scope' ? access.scope : access.kind;
            }
          }
        }
      }
    }
    return found;
  }

  it('are those of the table, each with its own door', () => {
    expect(routes()).toEqual(ROUTES);
  });

  it('refuse a caller without a credential unless they are public', async () => {
    for (const [route, door] of Object.entries(ROUTES)) {
      const [method = '', path = ''] = route.split(' ');
      const answer = await api.call(
        method,
        path.replace(/:\w+/g, '0123456789abcdef01234567'),
        method === 'GET' || method === 'DELETE' ? {} : { body: {} },
      );
      if (door !== 'public') expect([route, answer.status]).toEqual([route, 401]);
      else expect([401, 403]).not.toContain(answer.status);
    }
  });

  it('refuse a user where an administrator is asked for, before anything else is looked at', async () => {
    const user = await api.user('plain');
    for (const [route] of Object.entries(ROUTES).filter(([, door]) => door === 'admin')) {
      const [method = '', path = ''] = route.split(' ');
      const answer = await api.call(method, path.replace(/:\w+/g, 'x'), {
        token: user.token,
        ...(method === 'GET' ? {} : { body: {} }),
      });
      expect([route, answer.status]).toEqual([route, 403]);
    }
  });
});
