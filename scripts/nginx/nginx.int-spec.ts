import { isRecord } from '@devpocket/client';
import { execFileSync } from 'node:child_process';
import { request } from 'node:http';
import { eventually, EventSource, localDrivers, talk, TestApi, type TestUser } from '../../apps/api/testing';
import { freePort } from '../show/server-process';
import { NginxProcess } from './nginx-process';

interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** With headers that `fetch` would not send. */
function ask(url: string, path: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  return new Promise<Told>((resolve, reject) => {
    const sent = request(`${url}${path}`, { agent: false, ...options }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.on('error', reject).end(options.body);
  });
}

function problemOf({ headers, body }: Told): Record<string, unknown> {
  expect(headers['content-type']).toBe('application/problem+json');
  const problem: unknown = JSON.parse(body);
  if (!isRecord(problem)) throw new Error(body);
  expect(problem).toMatchObject({ type: 'about:blank', request_id: headers['x-request-id'] });
  return problem;
}

describe('nginx before the server', () => {
  const api = new TestApi(localDrivers, {
    TRUSTED_PROXIES: '127.0.0.1',
    AUTH_RATE_LIMIT_PER_MINUTE: '1000',
    METRICS_TOKEN: 'm'.repeat(16),
  });
  let nginx: NginxProcess;
  const started: NginxProcess[] = [];
  let url: string;
  let user: TestUser;
  let environment: string;

  /** @param to addresses of replicas */
  async function proxied(to: readonly string[], changes: Readonly<Record<string, string>> = {}): Promise<[NginxProcess, string]> {
    const [port, own] = [await freePort(), await freePort()];
    const servers = to.map((address) => `server ${address} max_fails=0;`).join(' ');
    const made = NginxProcess.prepare(
      'nginx.conf',
      {
        'listen 8080': `listen 127.0.0.1:${port}`,
        '127.0.0.1:8081': `127.0.0.1:${own}`,
        'worker_processes auto': 'worker_processes 1',
        ...changes,
      },
      { 'upstream.conf': `upstream replicas { ${servers} }\nmap $host $api { default replicas; }\n` },
    );
    started.push(made);
    await made.start(port);
    return [made, `http://127.0.0.1:${port}`];
  }

  beforeAll(async () => {
    await api.start();
    user = await api.user('ada');
    const made = await user.client.request('POST', '/environments', { name: 'first', template: 'ubuntu' });
    environment = isRecord(made) ? String(made.id) : '';
    await eventually(async () => (await user.client.environment(environment)).status === 'running');
    // The first is gone: whoever asks must not notice.
    [nginx, url] = await proxied([`127.0.0.1:${await freePort()}`, api.url.slice('http://'.length)]);
  });
  afterAll(async () => {
    for (const one of started) await one.close();
    await api.close();
  });

  const authorized = (): Record<string, string> => ({ authorization: `Bearer ${user.token}` });

  it.each(['nginx.conf', 'docker-proxy.conf'])('takes %s', (config) => {
    const made = NginxProcess.prepare(config, {});
    expect(() => made.test()).not.toThrow();
    return made.close();
  });

  it('takes the example for TLS, with a certificate', async () => {
    const [port, own] = [await freePort(), await freePort()];
    const made = NginxProcess.prepare('nginx.conf', {
      'listen 8080': `listen 127.0.0.1:${port}`,
      '127.0.0.1:8081': `127.0.0.1:${own}`,
      'include tls/*.conf': 'include tls/*.example',
    });
    const { folder } = made;
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${folder}/tls/privkey.pem`];
    execFileSync('openssl', ['req', '-x509', ...key, '-out', `${folder}/tls/fullchain.pem`, '-subj', '/CN=localhost'], {
      stdio: 'ignore',
    });
    expect(() => made.test()).not.toThrow();
    await made.close();
  });

  it('passes calls on to the replica that is there, POST too', async () => {
    for (let round = 0; round < 6; round += 1) {
      expect((await ask(url, '/health')).status).toBe(200);
      const answer = await ask(url, `/api/v1/environments/${environment}/keepalive`, {
        method: 'POST',
        headers: { ...authorized(), 'content-type': 'application/json' },
        body: '{"minutes":10}',
      });
      expect(answer.status).toBe(200);
    }
  });

  it('carries a terminal', async () => {
    const { ticket } = (await user.client.request('POST', `/environments/${environment}/terminal-ticket`)) as { ticket: string };
    const shell = talk(url, `/api/v1/ws/terminal/${environment}?ticket=${ticket}`);
    await eventually(() => Promise.resolve(shell.messages.some(({ type }) => type === 'welcome')));
    shell.socket.send(JSON.stringify({ type: 'input', data: 'echo $((6*7))-is-typed\n' }));
    await eventually(() =>
      Promise.resolve(
        shell.messages
          .map(({ data }) => (typeof data === 'string' ? data : ''))
          .join('')
          .includes('42-is-typed'),
      ),
    );
    shell.socket.close();
    await shell.over;
    await eventually(() => Promise.resolve(nginx.log.includes(`"path":"/api/v1/ws/terminal/${environment}","status":101`)));
    expect(nginx.log).not.toContain(ticket);
    expect(nginx.log).not.toContain('ticket=');
  });

  it('passes events on as they come', async () => {
    const source = await EventSource.open(`${url}/api/v1/events`, authorized());
    await user.client.request('POST', `/environments/${environment}/restart`);
    await eventually(() => Promise.resolve(source.events.some(({ type }) => type === 'environment.status')));
    source.close();
    await eventually(async () => (await user.client.environment(environment)).status === 'running');
  });

  it('writes no query, no credential and nobody’s own words about addresses into its log', async () => {
    await ask(url, '/api/v1/auth/me?token=sesame-1&x=2', {
      headers: { authorization: 'Bearer sesame-2', referer: 'http://a/?sesame-3' },
    });
    // What nginx itself refuses or cannot pass on is logged by another way.
    await ask(url, `/api/v1/auth/me?token=sesame-4${'a'.repeat(20_000)}`);
    await ask(url, '/metrics?token=sesame-5');
    const [gone, at] = await proxied([`127.0.0.1:${await freePort()}`]);
    await ask(at, '/api/v1/auth/me?token=sesame-6');
    await eventually(() => Promise.resolve(gone.log.includes('"status":503')));
    await eventually(() => Promise.resolve(nginx.log.includes('"path":"/metrics","status":404')));
    expect(nginx.log + gone.log).not.toContain('sesame');
    await gone.close();
  });

  it('tells the server whom it really serves', async () => {
    const session = async (headers: Record<string, string>): Promise<unknown> => {
      const login = {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ username_or_email: 'ada', password: 'Correct-horse-1' }),
      };
      const { access_token } = JSON.parse((await ask(url, '/api/v1/auth/login', login)).body) as { access_token: string };
      const sessions = JSON.parse(
        (await ask(url, '/api/v1/auth/sessions', { headers: { authorization: `Bearer ${access_token}` } })).body,
      ) as { ip: string; current: boolean }[];
      return sessions.find(({ current }) => current)?.ip;
    };
    expect(await session({ 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' })).toBe(
      '127.0.0.1',
    );
  });

  it('has one id with the server for a request', async () => {
    expect((await ask(url, '/health', { headers: { 'x-request-id': 'of-mine.1' } })).headers['x-request-id']).toBe('of-mine.1');
    const own = (await ask(url, '/health', { headers: { 'x-request-id': 'not one' } })).headers['x-request-id'];
    expect(own).toMatch(/^[0-9a-f]{32}$/);
    await eventually(() => Promise.resolve(nginx.log.includes(`"request_id":"${String(own)}"`)));
  });

  it.each(['/metrics', '/metrics/', '/METRICS', '//metrics', '/x/../metrics', '/%6detrics', '/metrics?a=b'])(
    'gives nobody %s',
    async (path) => {
      const answer = await ask(url, path, { headers: { authorization: `Bearer ${'m'.repeat(16)}` } });
      expect(answer.status).toBe(404);
      expect(problemOf(answer)).toMatchObject({ status: 404, code: 'not_found' });
    },
  );

  it.each([
    ['/api/v1/environments', 10_000_000],
    ['/api/v1/auth/login', 65_536],
  ])('refuses bodies for %s of more than %d bytes, as the server would, and none of so many', async (path, most) => {
    const post = (bytes: number, more: Record<string, string> = {}) =>
      ask(url, path, {
        method: 'POST',
        headers: { ...authorized(), 'content-type': 'application/json', ...more },
        body: `"${'x'.repeat(bytes - 2)}"`,
      });
    // JSON, and no object.
    expect((await post(most)).status).toBe(400);
    for (const refused of [await post(most + 1), await post(most + 1, { 'transfer-encoding': 'chunked' })]) {
      expect(refused.status).toBe(413);
      expect(problemOf(refused)).toMatchObject({ status: 413, code: 'body_too_large' });
    }
  });

  it('refuses a flood, in the one shape', async () => {
    const [strict, at] = await proxied([api.url.slice('http://'.length)], { 'rate=50r/s': 'rate=1r/s', 'burst=200': 'burst=5' });
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(at, '/health')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200).length).toBe(20 - refused.length);
    expect(refused.length).toBeGreaterThanOrEqual(12);
    for (const one of refused) {
      expect(problemOf(one)).toMatchObject({ status: 429, code: 'rate_limited', retry_after: 5 });
      expect(one.headers['retry-after']).toBe('5');
    }
    await strict.close();
  });

  it('says that no server answers, in the one shape, and passes a server’s own refusal on', async () => {
    const [gone, at] = await proxied([`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]);
    const answer = await ask(at, '/api/v1/auth/me');
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('5');
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'unavailable', retry_after: 5 });
    const shell = talk(at, `/api/v1/ws/terminal/${environment}`);
    expect(await shell.over).toBe(503);
    await gone.close();
    const own = await ask(url, '/api/v1/auth/me');
    expect(own.status).toBe(401);
    expect(JSON.parse(own.body)).toMatchObject({ code: 'token_missing' });
  });
});
