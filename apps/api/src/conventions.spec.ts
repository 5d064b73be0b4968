import { isRecord } from '@devpocket/client';
import { FakeDriver } from '@testing/runtime';
import { SystemClock } from '@devpocket/kernel';
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { PASSWORD, TestApi } from '../testing';

const METRICS_TOKEN = 'metrics-token-of-the-spec';

describe('every answer', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], {
    METRICS_TOKEN,
    MAX_BODY_BYTES: '100000',
    ALLOWED_ORIGINS: 'https://app.example',
    RATE_LIMIT_ENABLED: 'true',
    RATE_LIMIT_PER_MINUTE: '100000',
    AUTH_RATE_LIMIT_PER_MINUTE: '100000',
  });
  beforeAll(() => api.start());
  afterAll(() => api.close());

  it.each([
    ['an unknown route', 'GET', '/nowhere', {}, 404, 'not_found'],
    ['an unknown route outside the prefix', 'GET', '//nowhere', {}, 404, 'not_found'],
    ['a broken percent-encoding', 'GET', '/environments/%zz', {}, 404, 'not_found'],
    ['a method that the path does not have', 'DELETE', '/auth/login', {}, 405, 'method_not_allowed'],
    ['malformed JSON', 'POST', '/auth/login', { raw: '{"a":' }, 400, 'malformed_json'],
    [
      'a body that is no JSON',
      'POST',
      '/auth/login',
      { raw: 'a=b', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
    ],
    [
      'a body in another charset',
      'POST',
      '/auth/login',
      { raw: '{}', headers: { 'content-type': 'application/json; charset=utf-16le' } },
      415,
      'unsupported_media_type',
    ],
    [
      'a compressed body',
      'POST',
      '/auth/login',
      { raw: '{}', headers: { 'content-encoding': 'gzip' } },
      415,
      'unsupported_media_type',
    ],
    ['a body that is not UTF-8', 'POST', '/auth/login', { raw: Buffer.from('{"a":"\xe4"}', 'latin1') }, 400, 'malformed_json'],
    ['a large body of a sign-in', 'POST', '/auth/login', { body: { password: 'x'.repeat(66_000) } }, 413, 'body_too_large'],
    ['a large body', 'POST', '/environments', { body: { name: 'x'.repeat(101_000) } }, 413, 'body_too_large'],
    ['a body of too many values', 'POST', '/auth/login', { raw: `[${'1,'.repeat(10_000)}1]` }, 413, 'body_too_large'],
    ['a body that is too deep', 'POST', '/auth/login', { raw: '['.repeat(33) }, 413, 'body_too_large'],
    ['missing fields', 'POST', '/auth/login', { body: {} }, 422, 'validation_error'],
    ['no token', 'GET', '/auth/me', {}, 401, 'token_missing'],
    ['a token that is none', 'GET', '/auth/me', { token: 'x' }, 401, 'token_invalid'],
  ] as const)('to %s is a problem document', async (_what, method, path, options, status, code) => {
    const answer = await api.call(method, path, options);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(answer.body).toMatchObject({
      type: 'about:blank',
      status,
      code,
      title: expect.any(String) as string,
      detail: expect.any(String) as string,
    });
    expect(answer.status).toBe(status);
    expect(isRecord(answer.body) && answer.body.request_id).toBe(answer.headers.get('x-request-id'));
    if (status === 401) expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    if (status === 405) expect(answer.headers.get('allow')).toBe('POST');
  });

  it('refuses a body that is declared too large before it is sent', async () => {
    const { hostname, port } = new URL(api.url);
    const request = httpRequest({ hostname, port, method: 'POST', path: '/api/v1/auth/login', agent: false });
    request.setHeader('content-type', 'application/json');
    request.setHeader('content-length', 66_000);
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect([response.statusCode, response.headers.connection]).toEqual([413, 'close']);
    request.on('error', () => undefined).destroy();
  });

  it('of a page names the next one, however its URL was written', async () => {
    const { token, client } = await api.user('pages');
    await client.login('pages', PASSWORD);
    for (const path of ['/auth/sessions?limit=1', '/auth/sessions/?limit=1&&']) {
      const { headers } = await api.call('GET', path, { token });
      expect(headers.get('link')).toMatch(/^<\/api\/v1\/auth\/sessions\/?\?limit=1&(.*&)?cursor=[^&>]+>; rel="next"$/);
    }
  });

  it('that may be kept tells what it depends on, beside the origin', async () => {
    const { token } = await api.user('vary');
    const { headers } = await api.call('GET', '/auth/me', { token, headers: { origin: 'https://app.example' } });
    expect(headers.get('vary')?.split(', ')).toEqual(expect.arrayContaining(['Origin', 'Authorization']));
  });

  it('names an unknown field', async () => {
    const { body } = await api.call('POST', '/auth/login', { body: { username_or_email: 'a', password: 'b', pasword: 'c' } });
    expect(body).toMatchObject({ errors: [{ field: 'pasword', code: 'unknown_field' }] });
  });

  it.each(['__proto__', 'constructor'])('drops no member named %s unseen', async (name) => {
    const { token } = await api.user(`names_${name}`);
    for (const [raw, field] of [
      [`{"name":"a","template":"ubuntu","${name}":{}}`, name],
      [`{"name":"a","template":"ubuntu","environment_variables":{"${name}":"b"}}`, `environment_variables.${name}`],
    ] as const) {
      const answer = await api.call('POST', '/environments', { token, raw });
      expect(answer.body).toMatchObject({ status: 422, errors: [{ field, code: 'reserved_name' }] });
    }
  });

  it('names a hundred faults at most, however many there are', async () => {
    const body = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`field_${index}`, index]));
    const answer = await api.call('POST', '/auth/login', { body });
    expect(isRecord(answer.body) && Array.isArray(answer.body.errors) && answer.body.errors.length).toBe(100);
  });

  it.each([
    ['environment_variables', null],
    ['environment_variables', { A: null }],
    ['environment_variables', { A: { B: 'c' } }],
    ['environment_variables', 'x'],
    ['resources', null],
    ['resources', []],
    ['resources', { cpu: null }],
    ['resources', { cpu: 5 }],
  ])('refuses an environment with %s %j, naming it', async (field, value) => {
    const { token } = await api.user(`null_${field.length}_${JSON.stringify(value).replace(/\W/g, '_')}`);
    const answer = await api.call('POST', '/environments', { token, body: { name: 'a', template: 'ubuntu', [field]: value } });
    expect(answer.status).toBe(422);
    expect(JSON.stringify(answer.body)).toContain(`"field":"${field}`);
  });

  it.each([
    ['POST', '/environments', { name: 'a', template: null }, 'template', 'is_string'],
    ['POST', '/environments', { name: 'a', template: 'ubuntu', auto_stop_minutes: '5' }, 'auto_stop_minutes', 'is_int'],
    ['POST', '/environments', { name: 'a', template: 'ubuntu', resources: { cpu: 1 } }, 'resources.cpu', 'is_string'],
    ['POST', '/environments/0123456789abcdef01234567/keepalive', { minutes: '5' }, 'minutes', 'is_int'],
    ['GET', '/environments?limit=abc', undefined, 'limit', 'is_int'],
    ['GET', '/environments/0123456789abcdef01234567/logs?lines=1.5', undefined, 'lines', 'is_int'],
  ])('%s %s tells a value of another type as that: %j', async (method, path, body, field, code) => {
    const { token } = await api.user(`type_${field.length}_${code}_${path.length}`);
    const answer = await api.call(method, path, { token, body });
    expect([answer.status, answer.body]).toMatchObject([422, { errors: [{ field, code }] }]);
  });

  it('carries the caller’s request id when it is well-formed', async () => {
    const good = await api.call('GET', '//health', { headers: { 'x-request-id': 'abc.1_2-3' } });
    expect(good.headers.get('x-request-id')).toBe('abc.1_2-3');
    const bad = await api.call('GET', '//health', { headers: { 'x-request-id': 'a b' } });
    expect(bad.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('tells its rate limit, also when the call fails before it is routed', async () => {
    const user = await api.user('limits');
    for (const [path, token] of [
      ['/auth/me', user.token],
      ['/nowhere', undefined],
      ['/auth/me', 'bad'],
    ] as const) {
      const { headers } = await api.call('GET', path, token === undefined ? {} : { token });
      expect(headers.get('x-ratelimit-limit')).toBe('100000');
      expect(Number(headers.get('x-ratelimit-remaining'))).toBeLessThan(100_000);
      expect(Number(headers.get('x-ratelimit-reset'))).toBeLessThanOrEqual(60);
    }
    expect((await api.call('GET', '//health')).headers.get('x-ratelimit-limit')).toBeNull();
  });

  it('counts a refusal for the user who is known, not for the address that others share', async () => {
    const user = await api.user('refused');
    const remaining = async (): Promise<number> =>
      Number((await api.call('GET', '/users', { token: user.token })).headers.get('x-ratelimit-remaining'));
    const first = await remaining();
    await api.call('GET', '/nowhere');
    expect(await remaining()).toBe(first - 1);
  });

  it('is the same with a trailing slash', async () => {
    const user = await api.user('slash');
    expect((await api.call('GET', '/auth/me/', { token: user.token })).status).toBe(200);
    expect((await api.call('GET', '//health/')).status).toBe(200);
  });

  it('has the headers that browsers need', async () => {
    const allowed = await api.call('GET', '//health', { headers: { origin: 'https://app.example' } });
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(allowed.headers.get('x-content-type-options')).toBe('nosniff');
    const other = await api.call('GET', '//health', { headers: { origin: 'https://evil.example' } });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('of the service pages is as the contract says', async () => {
    const health = { status: 'healthy', service: 'DevPocket API', version: '0.0.0-test', environment: 'test' };
    expect((await api.call('GET', '//health')).body).toMatchObject(health);
    expect((await api.call('GET', '//', { headers: { accept: 'application/json' } })).body).toMatchObject(health);
    expect((await api.call('GET', '//health/live')).body).toEqual({ status: 'alive' });
    expect((await api.call('GET', '//health/ready')).body).toMatchObject({
      status: 'ready',
      checks: { database: 'healthy', runtime: 'healthy' },
    });
    expect((await api.call('GET', '/info')).body).toMatchObject({
      name: 'DevPocket API',
      version: '0.0.0-test',
      environment: 'test',
    });
  });

  it('of /metrics needs its token', async () => {
    const refused = await api.call('GET', '//metrics');
    expect(refused.status).toBe(401);
    // Guesses count, readings do not.
    expect(refused.headers.get('x-ratelimit-limit')).toBe('100000');
    expect((await api.call('GET', '//metrics', { token: 'wrong' })).status).toBe(401);
    const { body, status, headers } = await api.call('GET', '//metrics', { token: METRICS_TOKEN });
    expect([status, headers.get('x-ratelimit-limit')]).toEqual([200, null]);
    const types = String(body).match(/^# TYPE \S+/gm);
    expect(types).toEqual(
      expect.arrayContaining(
        [
          'http_request_duration_seconds',
          'devpocket_environments',
          'devpocket_environment_start_seconds',
          'devpocket_terminal_sessions',
          'devpocket_terminal_output_bytes_total',
          'devpocket_terminal_resume_total',
          'devpocket_reconcile_lag_seconds',
        ].map((name) => `# TYPE ${name}`),
      ),
    );
  });
});
