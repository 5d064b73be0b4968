import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { type Answer, talk, tally, TestApi } from '../testing';

const GENERAL = 8;
const SIGN_IN = 3;

describe('a rate limit', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })], {
    RATE_LIMIT_ENABLED: 'true',
    RATE_LIMIT_PER_MINUTE: String(GENERAL),
    AUTH_RATE_LIMIT_PER_MINUTE: String(SIGN_IN),
    TRUSTED_PROXIES: '127.0.0.1',
  });
  let address = 0;
  beforeAll(() => api.start());
  afterAll(() => api.close());
  beforeEach(() => (address += 1));

  const from = (n = address): Record<string, string> => ({ 'x-forwarded-for': `203.0.113.${n}` });
  const login = (path: string, name: string, n?: number): Promise<Answer> =>
    api.call('POST', path, { body: { username_or_email: name, password: 'Wrong-Horse-7' }, headers: from(n) });

  it('of sign-ins counts per address, whatever account and however the path is written', async () => {
    const paths = ['/auth/login', '/auth/login/', '/Auth/Login', '/auth/login?a=b'];
    const answers: Answer[] = [];
    for (const [n, path] of paths.entries()) answers.push(await login(path, `anybody-${n}`));
    expect(tally(answers)).toEqual({ '401 invalid_credentials': SIGN_IN, '429 rate_limited': 1 });
    const last = answers.at(-1);
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(last?.body).toMatchObject({ retry_after: Number(last?.headers.get('retry-after')) });
    expect(last?.headers.get('x-ratelimit-limit')).toBe(String(SIGN_IN));
    expect(last?.headers.get('x-ratelimit-remaining')).toBe('0');
  });

  it('of sign-ins counts per account, from any address and in any letters', async () => {
    const names = ['Somebody', 'somebody', 'SOMEBODY', 'someBody'];
    const answers: Answer[] = [];
    for (const [n, name] of names.entries()) answers.push(await login('/auth/login', name, 100 + n));
    expect(tally(answers)).toEqual({ '401 invalid_credentials': SIGN_IN, '429 rate_limited': 1 });
  });

  it('counts unknown routes, bad tokens and unreadable bodies for the address', async () => {
    const answers: Answer[] = [];
    for (let n = 0; n < GENERAL; n += 4) {
      answers.push(await api.call('GET', '/nowhere', { headers: from() }));
      answers.push(await api.call('GET', '/auth/me', { token: 'bad', headers: from() }));
      answers.push(await api.call('POST', '/environments', { raw: '{', headers: from() }));
      answers.push(await api.call('DELETE', '/auth/login', { headers: from() }));
    }
    expect(tally(answers)).not.toHaveProperty('429 rate_limited');
    expect((await api.call('GET', '/nowhere', { headers: from() })).status).toBe(429);
    expect((await api.call('GET', '/nowhere', { headers: from(200) })).status).toBe(404);
    expect((await api.call('GET', '//health', { headers: from() })).status).toBe(200);
  });

  it('of a signed-in user counts for the user, not for the address', async () => {
    const { token } = await api.user('roaming');
    const answers: Answer[] = [];
    for (let n = 0; n <= GENERAL; n += 1) answers.push(await api.call('GET', '/auth/me', { token, headers: from(50 + n) }));
    expect(tally(answers)).toEqual({ '200': GENERAL, '429 rate_limited': 1 });
    expect((await api.call('GET', '/info', { headers: from(50) })).status).toBe(200);
  });

  it('of handshakes with a good credential counts for its user, also where it may open nothing', async () => {
    const { client } = await api.user('knocker');
    const made = await client.request('POST', '/auth/api-keys', { name: 'reader', scopes: ['env:read'] });
    const key = isRecord(made) ? String(made.key) : '';
    const path = `/api/v1/ws/terminal/0123456789abcdef01234567?token=${key}`;
    const knocks = await Promise.all(
      Array.from({ length: 61 }, async () => {
        const knock = talk(api.url, path);
        return `${await knock.over} ${String(knock.messages[0]?.code)} ${typeof knock.messages[0]?.retry_after_ms}`;
      }),
    );
    expect(knocks.filter((knock) => knock === '4403 scope_missing undefined')).toHaveLength(60);
    expect(knocks.filter((knock) => knock === '4429 rate_limited number')).toHaveLength(1);
  });

  it('of handshakes without a good credential is HTTP 429 instead of the upgrade', async () => {
    const url = `${api.url.replace('http', 'ws')}/api/v1/ws/terminal/0123456789abcdef01234567`;
    const outcomes = new Map<number, number>();
    for (let n = 0; n < 102; n += 1) {
      const socket = new WebSocket(url, n % 2 === 0 ? [] : ['bearer.x', 'devpocket.v1.json'], { headers: from() });
      socket.on('error', () => undefined);
      const [first] = (await Promise.race([once(socket, 'close'), once(socket, 'unexpected-response')])) as unknown[];
      const outcome = typeof first === 'number' ? first : 429;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      socket.terminate();
    }
    expect(Object.fromEntries(outcomes)).toEqual({ 4401: 100, 429: 2 });
  });
});
