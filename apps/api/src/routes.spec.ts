import { routeAccess, SCOPES } from '@devpocket/access';
import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { UsersService } from '@devpocket/users';
import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants';
import { ModulesContainer, Reflector } from '@nestjs/core';
import { getConnectionToken } from '@nestjs/mongoose';
import { FakeDriver } from '@testing/runtime';
import { type Connection, Types } from 'mongoose';
import { PASSWORD, TestApi, type TestUser } from '../testing';

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
  'POST /auth/google': 'public',
  'POST /auth/google/link': 'session',
  'GET /auth/google/login': 'public',
  'GET /auth/google/callback': 'public',
  'POST /auth/google/exchange': 'public',
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
  'GET /events': 'env:read',
  'POST /environments/:id/terminal-ticket': 'terminal',
  'GET /environments/:id/terminals': 'terminal',
  'DELETE /environments/:id/terminals/:sessionId': 'terminal',
  'GET /environments/:id/terminals/:sessionId/screen': 'terminal',
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

/** Somebody who calls, and what the table makes of it. */
interface Caller {
  readonly token: string;
  /** Another credential of the same kind. */
  readonly another: () => Promise<string>;
  readonly kind: 'session' | 'key';
  readonly role: 'user' | 'admin';
  readonly scopes: readonly string[];
  /** Why it is none any more. */
  readonly ended?: string;
}

function expectedOf(door: string, { kind, role, scopes, ended }: Caller): string {
  if (door === 'public') return 'let in';
  if (ended !== undefined) return `401 ${ended}`;
  if (door === 'credential') return 'let in';
  if (door === 'session') return kind === 'session' ? 'let in' : '403 forbidden';
  if (door === 'admin' && role !== 'admin') return '403 forbidden';
  return kind === 'session' || scopes.includes(door) ? 'let in' : '403 scope_missing';
}

/** Every kind of caller that there is. */
async function allCallers(api: TestApi): Promise<Readonly<Record<string, Caller>>> {
  const users = api.running.app.get(UsersService);
  const callers: Record<string, Caller> = {};
  const sessionOf = (user: TestUser, role: 'user' | 'admin'): Caller => {
    const another = async (): Promise<string> => {
      const body = { username_or_email: user.name, password: PASSWORD };
      const answer = await api.call('POST', '/auth/login', { body });
      return isRecord(answer.body) ? String(answer.body.access_token) : '';
    };
    return { token: user.token, another, kind: 'session', role, scopes: [] };
  };
  const keyOf = async (user: TestUser, role: 'user' | 'admin', scope: string): Promise<Caller & { readonly id: string }> => {
    const made = await api.call('POST', '/auth/api-keys', { token: user.token, body: { name: scope, scopes: [scope] } });
    const [token, id] = isRecord(made.body) ? [String(made.body.key), String(made.body.id)] : ['', ''];
    return { id, token, another: () => Promise.resolve(token), kind: 'key', role, scopes: [scope] };
  };
  const [user, admin, gone] = [await api.user('someone'), await api.user('chief'), await api.user('gone')];
  await users.promote((await users.findByName('chief'))?.id ?? '');
  callers.user = sessionOf(user, 'user');
  callers.administrator = sessionOf(admin, 'admin');
  for (const scope of SCOPES) {
    if (scope !== 'admin') callers[`a user's key ${scope}`] = await keyOf(user, 'user', scope);
    callers[`an administrator's key ${scope}`] = await keyOf(admin, 'admin', scope);
  }
  const [expired, revoked, late] = [
    await keyOf(user, 'user', 'env:read'),
    await keyOf(user, 'user', 'env:write'),
    await keyOf(gone, 'user', 'terminal'),
  ];
  const connection = api.running.app.get<Connection>(getConnectionToken());
  await connection
    .collection('api_keys')
    .updateOne({ _id: new Types.ObjectId(expired.id) }, { $set: { expires_at: new Date(Date.now() - 1_000) } });
  await api.call('DELETE', `/auth/api-keys/${revoked.id}`, { token: user.token });
  await users.changeAccount((await users.findByName('gone'))?.id ?? '', { isActive: false });
  callers.deactivated = { ...sessionOf(gone, 'user'), another: () => Promise.resolve(gone.token), ended: 'session_revoked' };
  callers["a deactivated account's key"] = { ...late, ended: 'session_revoked' };
  callers['an expired key'] = { ...expired, ended: 'token_expired' };
  callers['a revoked key'] = { ...revoked, ended: 'token_invalid' };
  return callers;
}

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

  it('take every kind of caller as the table has it', async () => {
    const callers = await allCallers(api);
    for (const [route, door] of Object.entries(ROUTES)) {
      const [method = '', path = ''] = route.split(' ');
      for (const [name, caller] of Object.entries(callers)) {
        const { status, body } = await api.call(method, path.replace(/:\w+/g, '0123456789abcdef01234567'), {
          // This one ends what it is called with.
          token: route === 'POST /auth/logout' ? await caller.another() : caller.token,
          ...(method === 'GET' ? {} : { body: {} }),
        });
        const code = isRecord(body) ? String(body.code) : '';
        const said = status === 401 || code === 'forbidden' || code === 'scope_missing' ? `${status} ${code}` : 'let in';
        expect([route, name, said]).toEqual([route, name, expectedOf(door, caller)]);
      }
    }
  });

  it('know nothing of what is somebody else’s', async () => {
    const [owner, other] = [await api.user('owner'), await api.user('other')];
    const made = await owner.client.request('POST', '/environments', { name: 'mine', template: 'ubuntu' });
    const key = await owner.client.request('POST', '/auth/api-keys', { name: 'mine', scopes: ['env:read'] });
    const [session] = (await api.call('GET', '/auth/sessions', { token: owner.token })).body as Record<string, unknown>[];
    const ids: Readonly<Record<string, unknown>> = {
      environments: isRecord(made) && made.id,
      'api-keys': isRecord(key) && key.id,
      sessions: session?.id,
    };
    const owned = Object.keys(ROUTES).filter((route) => /\/(environments|api-keys|sessions)\/:id/.test(route));
    expect(owned.length).toBeGreaterThan(15);
    for (const route of owned) {
      const [method = '', path = ''] = route.split(' ');
      const kind = /\/(environments|api-keys|sessions)\/:id/.exec(path)?.[1] ?? '';
      const answer = await api.call(
        method,
        path.replace(':id', String(ids[kind])).replace(':sessionId', '0123456789abcdef01234567'),
        {
          token: other.token,
          ...(method === 'GET' || method === 'DELETE' ? {} : { body: route.endsWith('keepalive') ? { minutes: 1 } : {} }),
        },
      );
      expect([route, answer.status]).toEqual([route, 404]);
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
