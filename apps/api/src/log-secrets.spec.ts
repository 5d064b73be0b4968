import { isRecord, RestClient } from '@devpocket/client';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ServerProcess } from '../../../scripts/show/server-process';
import { PASSWORD, talk } from '../testing';

const EVIL = 'a\r\n{"level":"error","msg":"forged"}\u001b[31m';

describe('what a server writes', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-log-'));
  let server: ServerProcess;
  let written = '';
  beforeAll(async () => {
    const env = { DATA_DIR: dataDir, RUNTIME: 'local', LOCAL_RUNTIME_ALLOW_UNSANDBOXED_USERS: 'true', BCRYPT_ROUNDS: '4' };
    server = new ServerProcess(await freePort(), { ...env, LOG_LEVEL: 'trace' }, (text) => (written += text));
    await server.start();
  }, 60_000);
  afterAll(async () => {
    await server.end('SIGINT');
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('holds no password, token, key or ticket, and no line of somebody else’s making', async () => {
    const client = new RestClient({ url: server.url });
    await client.register({ username: 'logged', email: 'logged@example.com', password: PASSWORD });
    await client.login('logged', PASSWORD);
    const token = await client.accessToken();
    const key = await client.request('POST', '/auth/api-keys', { name: 'a', scopes: ['env:read'] });
    const ticket = await client.request('POST', '/tickets', { purpose: 'events' });
    const call = (method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${server.url}/api/v1${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    await call('POST', '/auth/login', { username_or_email: EVIL, password: PASSWORD });
    await call('POST', '/auth/login', { username_or_email: 'logged', password: 'Wrong-Secret-9' });
    await call('POST', '/auth/register', { username: EVIL, email: EVIL, password: PASSWORD, full_name: EVIL });
    await call('POST', '/auth/reset-password', { token: 'secret-code', new_password: PASSWORD });
    await call('GET', `/environments?cursor=${encodeURIComponent(EVIL)}&token=${token}`, undefined, {
      authorization: `Bearer ${token}`,
    });
    await call('GET', '/auth/me', undefined, {
      authorization: `Bearer ${token}x`,
      cookie: 'secret-cookie',
      'user-agent': 'a\tb',
    });
    const given = [token, isRecord(key) ? key.key : '', isRecord(ticket) ? ticket.ticket : ''].map(String);
    await talk(server.url, `/api/v1/ws/terminal/0123456789abcdef01234567?ticket=${given[2] ?? ''}`).over;
    await talk(server.url, `/api/v1/ws/logs/0123456789abcdef01234567?cols=1&token=${token}`).over;
    await call('GET', '/the-last-one');
    await server.end('SIGTERM');

    expect(written).toContain('/the-last-one');
    expect(written).toContain('token=[redacted]');
    for (const secret of [...given, PASSWORD, 'Wrong-Secret-9', 'secret-code', 'secret-cookie']) {
      expect(secret.length).toBeGreaterThan(8);
      expect(written).not.toContain(secret);
    }
    // eslint-disable-next-line no-control-regex
    expect(written).not.toMatch(/\u001b|^\{"level":"error","msg":"forged"/m);
  }, 60_000);
});
