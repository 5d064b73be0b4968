import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { RuntimeError } from '@devpocket/runtime';
import { FakeDriver } from '@testing/runtime';
import { type Answer, eventually, TestApi, type TestUser } from '../testing';

describe('an environment', () => {
  let driver: FakeDriver;
  const api = new TestApi(() => [(driver = new FakeDriver({ clock: new SystemClock() }))]);
  let user: TestUser;
  let users = 0;
  beforeAll(() => api.start());
  afterAll(() => api.close());
  beforeEach(async () => {
    driver.unreachable = false;
    driver.startError = null;
    driver.stuck = false;
    users += 1;
    user = await api.user(`owner-${users}`);
  });

  const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
    api.call(method, path, { token: user.token, ...(body === undefined ? {} : { body }) });
  const bodyOf = ({ body }: Answer): Record<string, unknown> => (isRecord(body) ? body : {});
  const get = async (id: string): Promise<Record<string, unknown>> => bodyOf(await call('GET', `/environments/${id}`));
  const reached = (id: string, status: string): Promise<Record<string, unknown>> =>
    eventually(async () => {
      const environment = await get(id);
      return environment.status === status ? environment : null;
    });

  async function create(name: string, more: Record<string, unknown> = {}): Promise<string> {
    const answer = await call('POST', '/environments', { name, template: 'ubuntu', ...more });
    expect([answer.status, bodyOf(answer).code]).toEqual([201, undefined]);
    expect(answer.body).toMatchObject({
      status: 'creating',
      desired_status: 'running',
      phase: 'queued',
      progress: 0,
      status_version: 1,
    });
    return String(bodyOf(answer).id);
  }

  it('goes its whole way, each status version above the last', async () => {
    const id = await create('Way');
    const running = await reached(id, 'running');
    expect(running).toMatchObject({ name: 'way', phase: 'ready', progress: 100, status_reason: null });
    expect(running.stop_at).not.toBeNull();
    expect((await call('POST', `/environments/${id}/start`)).body).toMatchObject({
      environment: { status: 'running', status_version: running.status_version },
    });
    await call('POST', `/environments/${id}/restart`);
    const seen: string[] = [];
    const again = await eventually(async () => {
      const environment = await get(id);
      seen.push(String(environment.status));
      return environment.status === 'running' && Number(environment.status_version) > Number(running.status_version) + 2
        ? environment
        : null;
    });
    expect(seen).not.toContain('stopped');
    await call('POST', `/environments/${id}/stop`);
    const stopped = await reached(id, 'stopped');
    expect(stopped).toMatchObject({ desired_status: 'stopped', status_reason: 'user', stop_at: null });
    expect(Number(stopped.status_version)).toBeGreaterThan(Number(again.status_version));
    const refused = await call('POST', `/environments/${id}/restart`);
    expect([refused.status, refused.body]).toEqual([
      400,
      expect.objectContaining({ code: 'invalid_state', current_status: 'stopped', allowed: ['running', 'error'] }),
    ]);
    const history = await call('GET', `/environments/${id}/events`);
    expect(Array.isArray(history.body) && history.body.map((entry: unknown) => isRecord(entry) && entry.type)).toEqual(
      expect.arrayContaining(['creating', 'running', 'stopping', 'stopped']),
    );
  });

  it('is gone for its user from the answer on, with its name and place, whatever the runtime does', async () => {
    const id = await create('gone');
    await reached(id, 'running');
    driver.stuck = true;
    expect(await call('DELETE', `/environments/${id}`)).toMatchObject({
      status: 200,
      body: { message: 'Environment deletion started' },
    });
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/start'],
      ['GET', '/logs'],
      ['GET', '/terminals'],
    ] as const) {
      expect([path, (await call(method, `/environments/${id}${path}`)).status]).toEqual([path, 404]);
    }
    expect((await call('GET', '/environments')).body).toEqual([]);
    driver.stuck = false;
    await create('gone');
    await eventually(async () => (await driver.look({ environmentId: id, userId: '', clusterId: null })).seen === 'absent');
  });

  it('keeps its status while the runtime does not answer, and goes on when it does', async () => {
    const id = await create('steady');
    await reached(id, 'running');
    driver.unreachable = true;
    const doubtful = await eventually(async () => {
      const environment = await get(id);
      return environment.status_reason === 'runtime_unreachable' ? environment : null;
    });
    expect(doubtful.status).toBe('running');
    await call('POST', `/environments/${id}/stop`);
    expect((await get(id)).status).toBe('stopping');
    driver.unreachable = false;
    await reached(id, 'stopped');
  });

  it('tells honestly when its processes were lost, and starts again on request', async () => {
    const id = await create('lost');
    await reached(id, 'running');
    driver.lose(id);
    expect(await reached(id, 'error')).toMatchObject({ status_reason: 'runtime_state_lost', retryable: true });
    await call('POST', `/environments/${id}/start`);
    await reached(id, 'running');
    driver.lose(id, 'out_of_memory');
    expect(await reached(id, 'error')).toMatchObject({ status_reason: 'out_of_memory' });
    await call('POST', `/environments/${id}/stop`);
    expect(await reached(id, 'stopped')).toMatchObject({ status_reason: 'user' });
  });

  it('ends in error when it cannot start, and gives its place back', async () => {
    driver.startError = new RuntimeError('refused', 'No room', 'quota_exceeded');
    const id = await create('refused');
    expect(await reached(id, 'error')).toMatchObject({
      status_reason: 'quota_exceeded',
      status_message: 'No room',
      retryable: true,
    });
    driver.startError = null;
    const other = await create('other');
    await reached(other, 'running');
    const full = await call('POST', `/environments/${id}/start`);
    expect([full.status, full.body]).toEqual([
      403,
      expect.objectContaining({
        code: 'environment_limit_reached',
        detail: 'Environment limit reached. Upgrade your plan to create more environments.',
        limit: { name: 'active_environments', allowed: 1, used: 1, plan: 'free' },
      }),
    ]);
  });

  it('starts after a stop that is under way', async () => {
    const id = await create('hasty');
    await reached(id, 'running');
    driver.stuck = true;
    await call('POST', `/environments/${id}/stop`);
    expect(bodyOf(await call('POST', `/environments/${id}/start`)).environment).toMatchObject({
      status: 'stopping',
      desired_status: 'running',
    });
    driver.stuck = false;
    await reached(id, 'running');
  });

  it('changes what may be changed, and tells what needs a restart', async () => {
    const id = await create('changing', { resources: { storage: '2Gi' }, environment_variables: { A: '1' } });
    await reached(id, 'running');
    const changed = await call('PATCH', `/environments/${id}`, {
      name: 'New-Name',
      description: 'd',
      resources: { cpu: '250m' },
      environment_variables: { A: '2' },
      auto_stop_minutes: 10,
    });
    expect(changed.body).toMatchObject({
      name: 'new-name',
      description: 'd',
      resources: { cpu: '250m', storage: '2Gi' },
      environment_variables: { A: '2' },
      auto_stop_minutes: 10,
      restart_required: ['resources', 'environment_variables'],
    });
    for (const [body, status, code] of [
      [{ resources: { storage: '1Gi' } }, 422, 'validation_error'],
      [{ resources: { memory: '2Gi' } }, 403, 'plan_limit_exceeded'],
      [{ resources: { cpu: 'much' } }, 422, 'validation_error'],
      [{ auto_stop_minutes: 31 }, 403, 'plan_limit_exceeded'],
      [{ auto_stop_minutes: 0 }, 403, 'plan_limit_exceeded'],
      [{ name: '-x' }, 422, 'validation_error'],
      [{ environment_variables: { '1A': 'x' } }, 422, 'validation_error'],
      [{ environment_variables: { A: 'x'.repeat(40_000) } }, 422, 'validation_error'],
      [{ status: 'stopped' }, 422, 'validation_error'],
    ] as const) {
      const answer = await call('PATCH', `/environments/${id}`, body);
      expect([body, answer.status, bodyOf(answer).code]).toEqual([body, status, code]);
    }
  });

  it('keeps variables named like what every object has', async () => {
    const environment_variables = { toString: 'b', hasOwnProperty: 'c' };
    const id = await create('named', { environment_variables });
    expect((await get(id)).environment_variables).toEqual(environment_variables);
    await call('PATCH', `/environments/${id}`, { environment_variables: { valueOf: 'd' } });
    expect((await get(id)).environment_variables).toEqual({ valueOf: 'd' });
  });

  it('refuses a create that cannot be', async () => {
    await create('taken');
    for (const [body, status, code, field] of [
      [{ name: 'Taken', template: 'ubuntu' }, 403, 'environment_limit_reached', null],
      [{ name: 'x', template: 'nothing' }, 422, 'validation_error', 'template'],
      [{ name: 'x'.repeat(51), template: 'ubuntu' }, 422, 'validation_error', 'name'],
      [{ name: 'x', template: 'custom', image: 'a' }, 422, 'validation_error', 'image'],
      [{ name: 'x', template: 'ubuntu', image: 'a' }, 422, 'validation_error', 'image'],
      [{ name: 'x', template: 'ubuntu', resources: { cpu: '4' } }, 403, 'plan_limit_exceeded', null],
      [{ name: 'x', template: 'ubuntu', region: 'moon' }, 422, 'validation_error', 'region'],
    ] as const) {
      const answer = await call('POST', '/environments', body);
      const { errors } = bodyOf(answer);
      const first: unknown = Array.isArray(errors) ? errors[0] : null;
      expect([body, answer.status, bodyOf(answer).code, isRecord(first) ? first.field : null]).toEqual([
        body,
        status,
        code,
        field,
      ]);
    }
  });

  it('has pages, filters and tags for what has not changed', async () => {
    const id = await create('tagged');
    await reached(id, 'running');
    const first = await call('GET', `/environments/${id}`);
    const etag = first.headers.get('etag') ?? '';
    const again = await api.call('GET', `/environments/${id}`, { token: user.token, headers: { 'if-none-match': etag } });
    expect([again.status, again.body]).toEqual([304, null]);
    expect((await call('GET', '/environments?status=stopped')).body).toEqual([]);
    expect((await call('GET', '/environments?status=asleep')).status).toBe(422);
    expect((await call('GET', '/environments?cursor=x')).status).toBe(422);
    const list = await call('GET', '/environments?limit=1&template=ubuntu');
    expect([list.headers.get('x-total-count'), list.headers.get('link')]).toEqual(['1', null]);
    const kept = await call('POST', `/environments/${id}/keepalive`, { minutes: 240 });
    expect(Date.parse(String(bodyOf(kept).stop_at)) - Date.now()).toBeGreaterThan(239 * 60_000);
    expect((await call('POST', `/environments/${id}/keepalive`, { minutes: 241 })).status).toBe(422);
    expect((await call('GET', `/environments/${id}/metrics?hours=169`)).status).toBe(422);
    expect((await call('GET', `/environments/${id}/logs?since=2024-W01`)).body).toMatchObject({
      status: 422,
      errors: [{ field: 'since', code: 'invalid_time' }],
    });
    expect((await call('GET', `/environments/${id}/logs?since=2999-01-01T00:00:00Z`)).body).toMatchObject({ logs: [] });
    expect((await call('GET', `/environments/${id}/logs?lines=2`)).body).toMatchObject({
      environment_id: id,
      logs: [{ source: 'system' }],
    });
  });

  it('is told in the allowance', async () => {
    await create('counted');
    expect((await call('GET', '/users/me/allowance')).body).toMatchObject({
      plan: 'free',
      can_create: false,
      limits: expect.arrayContaining([expect.objectContaining({ name: 'active_environments', allowed: 1, used: 1 })]) as unknown,
    });
  });
});
