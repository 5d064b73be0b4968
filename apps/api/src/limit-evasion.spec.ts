import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type Answer, tally, TestApi } from '../testing';

const SIGN_IN = 3;
const GENERAL = 50;
const LIMITS = {
  RATE_LIMIT_ENABLED: 'true',
  RATE_LIMIT_PER_MINUTE: String(GENERAL),
  AUTH_RATE_LIMIT_PER_MINUTE: String(SIGN_IN),
};

/** Ways to write `nick@example.com` and `nick` that mean the same account. */
const NAMES = [
  ['letters of another case', 'NICK', 'nIcK'],
  ['a dotless i', 'nıck', 'NıCK'],
  ['the sign of kelvin', 'nic\u212a', 'NIC\u212a'],
  ['full-width letters', 'ｎｉｃｋ', 'ＮＩＣＫ'],
  ['space around it', ' nick', 'nick\t'],
  ['the address in another case', 'NICK@EXAMPLE.COM', 'nick@example.com'],
  ['the address with a dotless i', 'nıck@example.com', 'NICK@EXAMPLE.COM'],
] as const;

describe('the limit of sign-ins cannot be got round', () => {
  const drivers = () => [new FakeDriver({ clock: new SystemClock() })];
  const api = new TestApi(drivers, LIMITS);
  const behindProxy = new TestApi(drivers, { ...LIMITS, TRUSTED_PROXIES: '127.0.0.1' });
  beforeAll(async () => {
    await api.start();
    await behindProxy.start();
  });
  afterAll(async () => {
    await api.close();
    await behindProxy.close();
  });

  const login = (to: TestApi, name: string, headers: Record<string, string> = {}, path = '/auth/login'): Promise<Answer> =>
    to.call('POST', path, { body: { username_or_email: name, password: 'Wrong-Horse-7' }, headers });
  let client = 0;
  const elsewhere = (): Record<string, string> => ({ 'x-forwarded-for': `203.0.113.${(client += 1)}` });

  it('by naming another client than the one that calls', async () => {
    const answers: Answer[] = [];
    for (const [n, name] of ['x-forwarded-for', 'X-Forwarded-For', 'forwarded', 'x-real-ip', 'cf-connecting-ip'].entries()) {
      const told = name === 'forwarded' ? `for=203.0.113.${n}` : `203.0.113.${n}`;
      answers.push(await login(api, `anyone-${n}`, { [name]: told }));
    }
    expect(tally(answers)).toEqual({ '401 invalid_credentials': SIGN_IN, '429 rate_limited': 2 });
  });

  it('by putting hops before the one that the proxy saw', async () => {
    const answers: Answer[] = [];
    for (let n = 0; n < SIGN_IN + 2; n += 1)
      answers.push(await login(behindProxy, `hops-${n}`, { 'x-forwarded-for': `10.0.0.${n}, 198.51.100.9` }));
    expect(tally(answers)).toEqual({ '401 invalid_credentials': SIGN_IN, '429 rate_limited': 2 });
  });

  it('by changing the address within a /64, which one client owns', async () => {
    const hosts = ['2001:db8:1:2::1', '2001:db8:1:2:ffff::', '2001:0db8:0001:0002:0:0:0:3', '2001:DB8:1:2::4', '2001:db8:1:3::1'];
    const answers: Answer[] = [];
    for (const host of hosts) answers.push(await login(behindProxy, `v6-${host}`, { 'x-forwarded-for': host }));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 429, 401]);
  });

  it.each(NAMES)('by writing the name with %s', async (what, first, second) => {
    // As `nick`, whom another row's attempts do not count for: each row has letters of its own behind it.
    const own = (name: string): string => {
      const tail = `-${what.replace(/\W/g, '')}`;
      return name.includes('@') ? name.replace('@', `${tail}@`) : name.trimEnd() + tail + (name.endsWith('\t') ? '\t' : '');
    };
    const plain = first.includes('@') ? 'nick@example.com' : 'nick';
    const answers: Answer[] = [];
    for (const name of [plain, first, second, plain, first]) answers.push(await login(behindProxy, own(name), elsewhere()));
    expect(tally(answers)).toEqual({ '401 invalid_credentials': SIGN_IN, '429 rate_limited': 2 });
  });

  it('by writing the path another way', async () => {
    const headers = elsewhere();
    const paths = [
      '/auth/login',
      '/auth/login/',
      '/AUTH/LOGIN',
      '/auth/login?x=1',
      '/auth/login/?',
      '/auth/logi%6e',
      '/%61uth/login',
    ];
    const answers: Answer[] = [];
    for (const [n, path] of paths.entries()) answers.push(await login(behindProxy, `paths-${n}`, headers, path));
    // What is no route of ours is no way in either.
    for (const path of ['/auth%2flogin', '/auth//login', '/auth/./login', '/auth/login%00', '/auth/login;a=b', '/auth\\login'])
      answers.push(await login(behindProxy, 'paths', headers, path));
    const counts = tally(answers);
    expect(counts['401 invalid_credentials']).toBe(SIGN_IN);
    expect(Object.keys(counts).sort()).toEqual(['401 invalid_credentials', '404 not_found', '429 rate_limited']);
  });

  it('by sending the requests through one connection without waiting for answers', async () => {
    const { hostname, port } = new URL(behindProxy.url);
    const socket = connect(Number(port), hostname);
    const from = elsewhere()['x-forwarded-for'] ?? '';
    const body = JSON.stringify({ username_or_email: 'pipeline', password: 'Wrong-Horse-7' });
    const request = (last: boolean): string =>
      [
        'POST /api/v1/auth/login HTTP/1.1',
        `Host: ${hostname}`,
        `X-Forwarded-For: ${from}`,
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        ...(last ? ['Connection: close'] : []),
        '',
        body,
      ].join('\r\n');
    socket.write(Array.from({ length: 20 }, (_, n) => request(n === 19)).join(''));
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => (heard += text));
    await once(socket, 'close');
    const statuses = [...heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    expect(statuses).toHaveLength(20);
    expect(statuses.filter((status) => status === '401')).toHaveLength(SIGN_IN);
    expect(statuses.filter((status) => status === '429')).toHaveLength(20 - SIGN_IN);
  });
});
