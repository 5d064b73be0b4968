import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { UsersService } from '@devpocket/users';
import { FakeDriver } from '@testing/runtime';
import { type Answer, eventually, TestApi, type TestUser } from '../testing';

const ZIG = {
  name: 'zig',
  display_name: 'Zig',
  category: 'language',
  image: 'example.org/zig:1',
  default_resources: { cpu: '500m', memory: '512Mi', storage: '1Gi' },
};

describe('templates over HTTP', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })]);
  let admin: TestUser;
  let user: TestUser;
  beforeAll(async () => {
    await api.start();
    user = await api.user('user');
    admin = await api.user('operator');
    const users = api.running.app.get(UsersService);
    await users.promote((await users.findByName('operator'))?.id ?? '');
  });
  afterAll(() => api.close());

  const call = (method: string, path: string, body?: object, token = admin.token): Promise<Answer> =>
    api.call(method, path, { token, ...(body === undefined ? {} : { body }) });

  it('are read with all that was written, so that one that is written back is the same', async () => {
    const sealed = { ...ZIG, name: 'sealed', read_only_root: true };
    await call('POST', '/templates', sealed);
    const { body } = await call('GET', '/templates/sealed');
    const { id: _id, version: _version, created_at: _created, updated_at: _updated, ...said } = isRecord(body) ? body : {};
    expect(await call('PUT', '/templates/sealed', said)).toMatchObject({
      status: 200,
      body: { read_only_root: true, version: 1 },
    });
  });

  it('are made, changed by versions and offered no more, while environments keep theirs', async () => {
    expect(await call('POST', '/templates', ZIG)).toMatchObject({
      status: 201,
      body: { ...ZIG, version: 1, status: 'active', tags: [] },
    });
    expect(await call('POST', '/templates', ZIG)).toMatchObject({ status: 400, body: { code: 'name_taken' } });
    const made = await call('POST', '/environments', { name: 'one', template: 'zig' }, user.token);
    expect(made).toMatchObject({ status: 201, body: { image: 'example.org/zig:1' } });
    const id = isRecord(made.body) ? String(made.body.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');

    const { name: _name, ...rest } = { ...ZIG, image: 'example.org/zig:2', tags: ['new'] };
    expect(await call('PUT', '/templates/zig', rest)).toMatchObject({
      status: 200,
      body: { image: 'example.org/zig:2', tags: ['new'], version: 2 },
    });
    expect(await call('PUT', '/templates/zig', rest)).toMatchObject({ status: 200, body: { version: 2 } });
    const look = () => call('GET', `/environments/${id}`, undefined, user.token);
    const patch = () => call('PATCH', `/environments/${id}`, { template_version: 'latest' }, user.token);
    expect((await look()).body).toMatchObject({ image: 'example.org/zig:1', template_version: 1, outdated: true });
    expect((await call('GET', '/environments', undefined, user.token)).body).toMatchObject([{ id, outdated: true }]);
    expect((await call('GET', '/admin/environments')).body).toMatchObject([{ id, template_version: 1, outdated: true }]);

    // A restart alone keeps the version that it was made from.
    await call('POST', `/environments/${id}/restart`, undefined, user.token);
    await eventually(async () => (await user.client.environment(id)).status === 'running');
    expect((await look()).body).toMatchObject({ image: 'example.org/zig:1', outdated: true });

    const moved = { image: 'example.org/zig:2', template_version: 2, outdated: false };
    expect(await patch()).toMatchObject({ status: 200, body: { ...moved, restart_required: ['template_version'] } });
    expect(await patch()).toMatchObject({ status: 200, body: { ...moved, restart_required: [] } });
    expect((await look()).body).toMatchObject(moved);
    expect(await call('PATCH', `/environments/${id}`, { template_version: 2 }, user.token)).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'template_version', code: 'invalid_template_version' }] },
    });

    for (let count = 0; count < 2; count += 1) expect((await call('DELETE', '/templates/zig')).status).toBe(204);
    expect(await call('GET', '/templates/zig', undefined, user.token)).toMatchObject({
      status: 200,
      body: { status: 'deprecated', version: 3 },
    });
    expect(await call('POST', '/environments', { name: 'two', template: 'zig' }, user.token)).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'template', code: 'template_deprecated' }] },
    });
    expect(await look()).toMatchObject({ body: { status: 'running', outdated: false } });
    expect(await patch()).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'template_version', code: 'template_deprecated' }] },
    });
    const trail = await call('GET', '/admin/audit?target=template:zig');
    expect(trail.body).toMatchObject([
      { action: 'template.deprecated', details: { version: 3 } },
      { action: 'template.changed', details: { version: 2 } },
      { action: 'template.created', actor: expect.stringMatching(/^[0-9a-f]{24}$/) as string, details: { version: 1 } },
    ]);
  });

  it('keep each version once, however many are written at a time', async () => {
    await call('POST', '/templates', { ...ZIG, name: 'raced' });
    const images = Array.from({ length: 10 }, (_, number) => `example.org/raced:${number}`);
    const answers = await Promise.all(images.map((image) => call('PUT', '/templates/raced', { ...ZIG, name: 'raced', image })));
    expect(answers.map(({ status }) => status)).toEqual(images.map(() => 200));
    expect((await call('GET', '/templates/raced')).body).toMatchObject({ version: 11 });
  });

  it.each([
    [{ name: 'Zig!' }, 'name'],
    [{ image: null }, 'image'],
    [{ image: 'Zig!' }, 'image'],
    [{ default_resources: { cpu: '0', memory: '1Gi', storage: '1Gi' } }, 'default_resources.cpu'],
    [{ startup_commands: ['a\0'] }, 'startup_commands.0'],
    [{ default_resources: { cpu: '1x', memory: '1Gi', storage: '1Gi' } }, 'default_resources.cpu'],
    [{ startup_commands: [''] }, 'startup_commands.0'],
    [{ environment_variables: { '1A': 'b' } }, 'environment_variables.1A'],
    [{ icon_url: 'javascript:alert(1)' }, 'icon_url'],
    [{ images: 'x' }, 'images'],
    [{ __proto__: null, constructor: 1 }, 'constructor'],
  ])('refuse %j', async (change, field) => {
    expect(await call('POST', '/templates', { ...ZIG, name: 'faulty', ...change })).toMatchObject({
      status: 422,
      body: { code: 'validation_error', errors: [{ field }] },
    });
    expect((await call('GET', '/templates/faulty')).status).toBe(404);
  });

  it('are an administrator’s to change', async () => {
    for (const [method, path] of [
      ['POST', '/templates'],
      ['PUT', '/templates/rust'],
      ['DELETE', '/templates/rust'],
    ] as const)
      expect([method, (await call(method, path, method === 'DELETE' ? undefined : ZIG, user.token)).status]).toEqual([
        method,
        403,
      ]);
    expect((await call('PUT', '/templates/absent', { ...ZIG, name: 'absent' })).status).toBe(404);
    expect(await call('PUT', '/templates/rust', ZIG)).toMatchObject({ status: 422, body: { errors: [{ field: 'name' }] } });
    expect((await call('DELETE', '/templates/absent')).status).toBe(404);
  });
});
