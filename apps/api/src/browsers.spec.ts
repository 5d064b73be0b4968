import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { PASSWORD, talk, TestApi } from '../testing';

const APP = 'https://app.example';
const PUBLIC = 'https://pocket.example';

describe('pages in browsers', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], { ALLOWED_ORIGINS: APP, PUBLIC_URL: PUBLIC });
  beforeAll(() => api.start());
  afterAll(() => api.close());

  const port = (): number => (api.running.app.getHttpServer().address() as AddressInfo).port;

  /** With a `Host` of the caller's choice, which `fetch` does not allow. */
  function register(username: string, host: string, origin?: string): Promise<number> {
    const body = JSON.stringify({ username, email: `${username}@example.com`, password: PASSWORD });
    const headers = { host, 'content-type': 'application/json', 'content-length': body.length, ...(origin ? { origin } : {}) };
    return new Promise((resolve, reject) => {
      const path = '/api/v1/auth/register';
      httpRequest({ port: port(), host: '127.0.0.1', path, method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on('error', reject)
        .end(body);
    });
  }

  it('of other origins are told nothing that they could read, and send nothing but what forms can', async () => {
    for (const origin of ['https://evil.example', 'null', `${APP}.evil.example`, 'http://app.example', 'https://xapp.example']) {
      const asked = await api.call('OPTIONS', '/environments', {
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
      });
      expect([origin, asked.headers.get('access-control-allow-origin')]).toEqual([origin, null]);
      expect((await api.call('GET', '/info', { headers: { origin } })).headers.get('access-control-allow-origin')).toBeNull();
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=a']) {
        const body = '{"username_or_email":"a","password":"b"}';
        const sent = await api.call('POST', '/auth/login', { raw: body, headers: { origin, 'content-type': type } });
        expect([type, sent.status]).toEqual([type, 415]);
      }
    }
    const { headers } = await api.call('GET', '/info', { headers: { origin: APP } });
    expect([headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')]).toEqual([APP, null]);
  });

  it('are given no cookie, and none counts', async () => {
    const login = { username_or_email: 'cookies', password: PASSWORD };
    const { token } = await api.user('cookies');
    expect((await api.call('POST', '/auth/login', { body: login })).headers.get('set-cookie')).toBeNull();
    expect((await api.call('GET', '/auth/me', { headers: { cookie: `access_token=${token}; token=${token}` } })).status).toBe(
      401,
    );
  });

  it.each(['//health', '/info', '/nowhere', '/auth/me', '//docs', '/auth/login'])(
    'frame and sniff nothing of %s',
    async (path) => {
      const { headers } = await api.call('GET', path);
      expect(headers.get('x-frame-options')).toBe('SAMEORIGIN');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toMatch(/default-src 'self'.*frame-ancestors 'self'.*object-src 'none'/);
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('x-powered-by')).toBeNull();
    },
  );

  it.each([
    ['evil.example', 'http://evil.example', 403],
    ['evil.example:8000', 'https://evil.example:8000', 403],
    ['127.0.0.1.evil.example', 'http://127.0.0.1.evil.example', 403],
    ['localhost.evil.example', 'http://localhost.evil.example', 403],
    ['127.0.0.1', 'http://127.0.0.1', 201],
    ['localhost:8000', 'http://localhost:8000', 201],
    ['[::1]:8000', 'http://[::1]:8000', 201],
    ['pocket.example', PUBLIC, 201],
    ['app.example', APP, 201],
    // No page: a program, behind a proxy perhaps.
    ['pocket.internal', undefined, 201],
  ])('that came by the name %s, from %s, get a %i', async (host, origin, status) => {
    const name = `u${host.replace(/\W/g, '')}`.slice(0, 29);
    expect(await register(name, host, origin)).toBe(status);
    const path = '/api/v1/ws/terminal/0123456789abcdef01234567';
    if (origin === undefined) return;
    const { over } = talk(`http://127.0.0.1:${port()}`, path, [], { headers: { host, origin } });
    expect(await over).toBe(status === 403 ? 4403 : 4401);
  });
});
