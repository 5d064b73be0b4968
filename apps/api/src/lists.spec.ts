import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { UsersService } from '@devpocket/users';
import { FakeDriver } from '@testing/runtime';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { eventually, PASSWORD, TestApi, type TestUser } from '../testing';

type Item = Readonly<Record<string, unknown>>;

describe('every list', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })]);
  const sockets: WebSocket[] = [];
  let user: TestUser;
  let environment: string;

  beforeAll(async () => {
    await api.start();
    user = await api.user('lister');
    await api.user('another');
    const created = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    environment = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(environment)).status === 'running');
    for (const name of ['two', 'three']) {
      await api.call('POST', `/environments/${environment}/stop`, { token: user.token });
      await eventually(async () => (await user.client.environment(environment)).status === 'stopped');
      const next = await user.client.request('POST', '/environments', { name, template: 'ubuntu' });
      environment = isRecord(next) ? String(next.id) : '';
      await eventually(async () => (await user.client.environment(environment)).status === 'running');
    }
    for (let count = 0; count < 3; count += 1) {
      const socket = new WebSocket(`${api.url.replace('http', 'ws')}/api/v1/ws/terminal/${environment}?token=${user.token}`);
      sockets.push(socket);
      await once(socket, 'message');
    }
    await api.call('POST', '/auth/login', { body: { username_or_email: 'lister', password: PASSWORD } });
    for (const name of ['one', 'two'])
      await api.call('POST', '/auth/api-keys', { token: user.token, body: { name, scopes: ['env:read'] } });
    const users = api.running.app.get(UsersService, { strict: false });
    await users.promote((await users.findByName('lister'))?.id ?? '');
  });
  afterAll(async () => {
    for (const socket of sockets) socket.terminate();
    await api.close();
  });

  const LISTS: readonly (readonly [path: string, id: string, time: string, least: number])[] = [
    ['/environments', 'id', 'created_at', 3],
    ['/environments/:id/events', 'timestamp', 'timestamp', 2],
    ['/environments/:id/terminals', 'session_id', 'created_at', 3],
    ['/templates', 'id', 'created_at', 6],
    ['/users', 'id', 'created_at', 2],
    ['/auth/sessions', 'id', 'created_at', 2],
    ['/clusters', 'id', 'created_at', 0],
    ['/auth/api-keys', 'id', 'created_at', 2],
    ['/users/me/audit', 'id', 'timestamp', 3],
    ['/admin/audit', 'id', 'timestamp', 4],
    ['/admin/environments', 'id', 'created_at', 3],
  ];

  async function page(path: string): Promise<{ items: readonly Item[]; next: string | null; total: number }> {
    const { status, headers, body } = await api.call('GET', path, { token: user.token });
    expect([path, status, Array.isArray(body)]).toEqual([path, 200, true]);
    const next = /^<\/api\/v1(\S+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1] ?? null;
    return { items: body as Item[], next, total: Number(headers.get('x-total-count') ?? Number.NaN) };
  }

  it.each(LISTS)('%s comes whole and newest first, a page at a time', async (template, id, time, least) => {
    const path = template.replace(':id', environment);
    const whole = await page(path);
    expect(whole.items.length).toBeGreaterThanOrEqual(least);
    expect([whole.total, whole.next]).toEqual([whole.items.length, null]);
    const times = whole.items.map((item) => String(item[time]));
    expect(times).toEqual([...times].sort().reverse());
    const seen: Item[] = [];
    for (let next: string | null = `${path}?limit=1`; next !== null && seen.length <= whole.total;) {
      const one = await page(next);
      expect([one.total, one.items.length]).toEqual([whole.total, Math.min(1, whole.total)]);
      seen.push(...one.items);
      next = one.next;
    }
    expect(seen.map((item) => item[id])).toEqual(whole.items.map((item) => item[id]));
  });

  it.each(LISTS)('%s refuses a page that cannot be', async (template) => {
    const path = template.replace(':id', environment);
    for (const query of ['limit=0', 'limit=101', 'limit=abc', 'limit=1.5', 'limit=', 'cursor=x', 'cursor=', 'limit=1&limit=2']) {
      const { status, body } = await api.call('GET', `${path}?${query}`, { token: user.token });
      const errors = isRecord(body) && Array.isArray(body.errors) ? (body.errors as Item[]) : [];
      expect([query, status, errors[0]?.field]).toEqual([query, 422, query.split('=')[0]]);
    }
    expect((await api.call('GET', `${path}?limit=100`, { token: user.token })).status).toBe(200);
  });

  it('of everybody’s environments is searched by status and owner, and tells no variables', async () => {
    const other = await api.user('owner');
    const body = { name: 'theirs', template: 'ubuntu', environment_variables: { TOKEN: 'hunter2' } };
    const created = await other.client.request('POST', '/environments', body);
    const { id, user_id: owner } = isRecord(created)
      ? { id: String(created.id), user_id: String(created.user_id) }
      : { id: '', user_id: '' };
    await eventually(async () => (await other.client.environment(id)).status === 'running');
    const found = async (query: string) => (await page(`/admin/environments?${query}`)).items;
    expect((await found(`user=${owner}`)).map((item) => item.id)).toEqual([id]);
    expect((await found(`user=${owner}&status=stopped`)).map((item) => item.id)).toEqual([]);
    expect((await found('status=stopped')).map((item) => item.name)).toEqual(['two', 'one']);
    expect(JSON.stringify(await found(''))).not.toMatch(/hunter2|environment_variables/);
    expect((await api.call('GET', '/admin/environments', { token: other.token })).status).toBe(403);
  });

  it('neither repeats nor skips while it grows', async () => {
    const first = await page('/auth/sessions?limit=1');
    await api.call('POST', '/auth/login', { body: { username_or_email: 'lister', password: PASSWORD } });
    const second = await page(first.next ?? '');
    const whole = await page('/auth/sessions');
    expect([first.items[0]?.id, second.items[0]?.id]).toEqual(whole.items.slice(1, 3).map((item) => item.id));
  });
});
