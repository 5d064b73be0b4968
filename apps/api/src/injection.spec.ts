import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { UsersService } from '@devpocket/users';
import { getConnectionToken } from '@nestjs/mongoose';
import { FakeClusterInspector, FakeDriver, kubeConfig } from '@testing/runtime';
import { type Connection } from 'mongoose';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { type Answer, eventually, type Operation, operationsOf, PASSWORD, TestApi, type TestUser, withMember } from '../testing';
import { openApiDocument } from './documents/open-api';

/** Good values of members, whatever the call: so that the hostile one is what the answer is about. */
const GOOD: Readonly<Record<string, unknown>> = {
  username: 'newcomer',
  email: 'newcomer@example.com',
  token: 'x',
  refresh_token: 'x',
  code: 'x',
  code_verifier: 'x'.repeat(43),
  username_or_email: 'operator',
  password: PASSWORD,
  current_password: PASSWORD,
  new_password: 'Another-horse-2',
  name: 'plain',
  display_name: 'Plain',
  image: 'example.org/plain:1',
  category: 'language',
  template: 'ubuntu',
  resources: {},
  default_resources: { cpu: '500m', memory: '512Mi', storage: '1Gi' },
  scopes: ['env:read'],
  region: 'eu-central',
  kube_config: Buffer.from(kubeConfig()).toString('base64'),
  purpose: 'events',
  minutes: 5,
};

/** What a query language, a prototype or a careless type check could take for something else. */
const HOSTILE: readonly unknown[] = [
  { $gt: '' },
  { $ne: null },
  { $where: 'sleep(5000)' },
  { $expr: { $function: { body: 'function(){while(1);}', args: [], lang: 'js' } } },
  { toString: 'x' },
  [{ $gt: '' }],
  { '0': 'a', length: 1 },
];

/** A label or variable may well have this name; in an object within, names that every object has are not seen, and set nothing. */
const HARMLESS = /^(node_selector|environment_variables|resources|default_resources)=\{"(toString|valueOf)":/;

/** Of accounts, environments and documents, and what is an operator itself. */
const STRANGE = [
  ...['role', 'subscription_plan', 'is_verified', 'is_active', 'email_proven', 'password_hash', 'session_epoch', 'key_epoch'],
  ...['sole', 'deleting_since', 'created_at', 'last_login', '_id', 'id', 'user_id', 'cluster_id', 'desired_status', 'version'],
  ...['$set', '$where', '$or', 'role.$ne', 'a.b', 'toString', 'hasOwnProperty', 'valueOf', 'prototype', '__v'],
];
const RESERVED = ['__proto__', 'constructor'];
/** What time changes, and looking after environments. */
const PASSING = new Set([
  'revision',
  'next_look',
  'lease_until',
  'lease_token',
  'usage',
  'updated_at',
  'last_activity_at',
  'seen_at',
  'last_used_at',
]);
const UNKNOWN_ID = '0123456789abcdef01234567';
const NO_IDS = [
  '{"$gt":""}',
  '[$ne]',
  '$where',
  '../../../etc/passwd',
  '..',
  '%00',
  `${UNKNOWN_ID}%00`,
  'ＡＢ',
  '__proto__',
  '*',
];

jest.setTimeout(60_000);

describe('what is injected', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], {}, new FakeClusterInspector());
  let operations: readonly Operation[];
  let admin: TestUser;
  let ids: Readonly<Record<string, string>>;

  beforeAll(async () => {
    await api.start();
    operations = operationsOf(openApiDocument(api.running.app));
    admin = await api.user('operator');
    const users = api.running.app.get(UsersService);
    const id = (await users.findByName('operator'))?.id ?? '';
    await users.promote(id);
    const made = await admin.client.request('POST', '/environments', { name: 'mine', template: 'ubuntu' });
    const environment = isRecord(made) ? String(made.id) : '';
    await eventually(async () => (await admin.client.environment(environment)).status === 'running');
    // What it has become is told a moment later, which changes the document once more.
    const environments = api.running.app.get<Connection>(getConnectionToken()).collection('environments');
    await eventually(async () => (await environments.findOne({ untold_at: { $exists: true } })) === null);
    ids = { users: id, environments: environment };
  });
  afterAll(() => api.close());

  /** A path of what there is, where there is something. */
  const pathOf = ({ path }: Operation): string =>
    path
      .replace('{name}', 'ubuntu')
      .replace(/^\/(users|environments)\/\{id\}/, (_, kind: string) => `/${kind}/${ids[kind] ?? ''}`)
      .replace(/\{\w+\}/g, UNKNOWN_ID);
  const send = (operation: Operation, raw: string, path = pathOf(operation)): Promise<Answer> =>
    api.call(operation.method, path, { token: admin.token, raw });
  /** Of a path just as it stands: `fetch` resolves `..` by itself, in every way to write it. */
  const statusOf = async (method: string, path: string, body: string | null): Promise<number> => {
    const call = request(`${api.url}/api/v1`, {
      method,
      path: `/api/v1${path}`,
      headers: {
        authorization: `Bearer ${admin.token}`,
        ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    });
    call.end(body ?? undefined);
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    return answer.statusCode ?? 0;
  };
  const goodBody = ({ members }: Operation): Record<string, unknown> =>
    Object.fromEntries(
      (members ?? [])
        .filter((member) => member in GOOD && !(member === 'image' && members?.includes('template')))
        .map((member) => [member, GOOD[member]]),
    );
  const withBody = (): readonly Operation[] => operations.filter(({ members }) => members !== null);

  /** All that is kept, but what tells of requests. */
  async function kept(): Promise<string> {
    const connection = api.running.app.get<Connection>(getConnectionToken());
    const all: string[] = [];
    for (const { collectionName } of (await connection.db?.collections()) ?? []) {
      if (/audit|metrics|samples|lookups|installation/.test(collectionName)) continue;
      const documents = await connection.collection(collectionName).find().sort({ _id: 1 }).toArray();
      all.push(
        ...documents.map(
          (one) => `${collectionName} ${JSON.stringify(one, (name, value: unknown) => (PASSING.has(name) ? null : value))}`,
        ),
      );
    }
    return all.sort().join('\n');
  }

  async function changingNothing(attack: () => Promise<void>): Promise<void> {
    const before = await kept();
    await attack();
    expect(await kept()).toBe(before);
  }

  it('is tried in every call that the document tells of', () => {
    expect(withBody().length).toBeGreaterThan(15);
    expect(withBody().flatMap(({ members }) => members).length).toBeGreaterThan(80);
    expect(operations.flatMap(({ queryParameters }) => queryParameters).length).toBeGreaterThan(30);
  });

  it('as an operator in a member of a body is a fault of that body', async () => {
    await changingNothing(async () => {
      for (const operation of withBody()) {
        for (const member of operation.members ?? []) {
          for (const value of HOSTILE) {
            if (HARMLESS.test(`${member}=${JSON.stringify(value)}`)) continue;
            const answer = await send(operation, JSON.stringify(withMember(goodBody(operation), member, value)));
            const what = `${operation.method} ${operation.path} ${member}=${JSON.stringify(value)}`;
            expect([what, answer.status, JSON.stringify(answer.body)]).toEqual([
              what,
              422,
              expect.stringContaining(`"field":"${member.split('.')[0] ?? ''}`) as string,
            ]);
          }
        }
      }
    });
  });

  it('as another kind of body is a fault', async () => {
    await changingNothing(async () => {
      for (const operation of withBody()) {
        for (const raw of ['[]', '[{}]', '"$where"', '1', 'null', 'true', '[{"$gt":""}]']) {
          const answer = await send(operation, raw);
          expect([operation.path, raw, [400, 422].includes(answer.status)]).toEqual([operation.path, raw, true]);
        }
      }
    });
  });

  it('as a member that no call has is named, and never assigned', async () => {
    await changingNothing(async () => {
      for (const operation of withBody()) {
        for (const name of [...STRANGE, ...RESERVED].filter((one) => !operation.members?.includes(one))) {
          // As text: an object literal has no member `__proto__` of its own.
          const good = JSON.stringify(goodBody(operation)).slice(1);
          const raw = `{"${name}":${name === 'role' ? '"admin"' : '{"role":"admin"}'}${good === '}' ? '' : ','}${good}`;
          const answer = await send(operation, raw);
          const what = `${operation.method} ${operation.path} ${name}`;
          const code = expect.stringMatching(
            RESERVED.includes(name) ? /^(reserved_name|unknown_field)$/ : /^unknown_field$/,
          ) as string;
          expect([what, answer.status, isRecord(answer.body) && answer.body.errors]).toEqual([
            what,
            422,
            expect.arrayContaining([expect.objectContaining({ field: name, code })]) as unknown,
          ]);
        }
      }
    });
    expect(({} as Record<string, unknown>).role).toBeUndefined();
  });

  it('makes no administrator of anybody', async () => {
    const user = await api.user('climber');
    for (const [method, path, body] of [
      ['PATCH', '/users/me', { full_name: 'A', role: 'admin' }],
      ['PUT', '/users/me', { subscription_plan: 'admin', is_verified: true, email_proven: true }],
      ['POST', '/auth/api-keys', { name: 'a', scopes: ['admin'] }],
      ['PATCH', `/users/${ids.users ?? ''}`, { subscription_plan: 'free' }],
      ['POST', '/environments', { name: 'a', template: 'ubuntu', user_id: ids.users }],
    ] as const) {
      const { status } = await api.call(method, path, { token: user.token, body });
      expect([path, status === 403 || status === 422]).toEqual([path, true]);
    }
    const register = {
      username: 'born',
      email: 'born@example.com',
      password: PASSWORD,
      role: 'admin',
      subscription_plan: 'admin',
    };
    expect((await api.call('POST', '/auth/register', { body: register })).status).toBe(422);
    const { body } = await api.call('GET', '/auth/me', { token: user.token });
    expect(body).toMatchObject({ role: 'user', subscription_plan: 'free', full_name: null });
  });

  it('into a query is a fault, or finds nothing', async () => {
    await changingNothing(async () => {
      for (const operation of operations.filter(({ queryParameters }) => queryParameters.length > 0)) {
        // It heeds what Google may send, and tells what is wrong by where it sends the browser.
        if (operation.path === '/auth/google/callback') continue;
        const path = pathOf(operation);
        for (const name of operation.queryParameters) {
          const queries = [
            `${name}[$gt]=`,
            `${name}[]=a`,
            `${name}[$where]=1`,
            `${name}.$ne=1`,
            `${name}=1&${name}=2`,
            `$where=1`,
            '__proto__[a]=1',
            'constructor=1',
            `${name}[__proto__][a]=b`,
          ];
          for (const query of queries) {
            const { status } = await api.call(operation.method, `${path}?${query}`, { token: admin.token });
            expect([`${path}?${query}`, status]).toEqual([`${path}?${query}`, 422]);
          }
          // A stream does not end; there a foreign cursor is answered by `sync.reset` (events.spec).
          if (operation.path === '/events') continue;
          const asText = `${path}?${name}=${encodeURIComponent('{"$ne":null}')}`;
          const { status, body } = await api.call(operation.method, asText, { token: admin.token });
          expect([asText, status === 422 || (status === 200 && JSON.stringify(body) === '[]')]).toEqual([asText, true]);
        }
      }
    });
  });

  it('into a path names nothing', async () => {
    await changingNothing(async () => {
      for (const operation of operations.filter(({ pathParameters }) => pathParameters.length > 0)) {
        for (const name of operation.pathParameters) {
          for (const text of NO_IDS) {
            const path = operation.path
              .replace(`{${name}}`, text.includes('%') ? text : encodeURIComponent(text).replace('..', '%2e%2e'))
              .replace(/\{\w+\}/g, UNKNOWN_ID);
            const body = operation.members === null ? null : JSON.stringify({ ...goodBody(operation), name: undefined });
            const status = await statusOf(operation.method, path, body);
            // A definition is read whole before it is looked for; the name in the path is part of it.
            const expected = operation.method === 'PUT' && path.startsWith('/templates/') ? [404, 422] : [404];
            expect([operation.method, path, expected.includes(status)]).toEqual([operation.method, path, true]);
          }
        }
      }
    });
  });

  it('was what the answers were about: without it no body is faulty', async () => {
    // Wrong passwords, so that nothing is removed.
    const wrong: Readonly<Record<string, unknown>> = { password: 'Wrong-Horse-7', current_password: 'Wrong-Horse-7' };
    for (const operation of withBody()) {
      const { name, ...rest } = goodBody(operation);
      // Of a template that there is, the path names it.
      const good = operation.pathParameters.includes('name') || name === undefined ? rest : { name, ...rest };
      const body = Object.fromEntries(Object.entries(good).map(([member, value]) => [member, wrong[member] ?? value]));
      const answer = await send(operation, JSON.stringify(body));
      expect([operation.method, operation.path, answer.status === 422 ? answer.body : '']).toEqual([
        operation.method,
        operation.path,
        '',
      ]);
    }
  });
});
