import { RestClient } from '@devpocket/client';
import { TEST_IMAGE, TestEngine } from '@testing/runtime-docker';
import { PASSWORD, type TestUser } from '../testing';
import { ServedContainer } from '../testing/served-container';
import { describeWholeLife, heardIn, hears, LifeRig, typeIn } from '../testing/whole-life';

describe('environments of a server that is itself a container, over HTTP and WebSocket', () => {
  const server = ServedContainer.fromEnvironment();
  let owner: TestUser;
  let engine: TestEngine;
  const life = new LifeRig(
    server,
    () => owner,
    TEST_IMAGE,
    () => engine.left(),
  );

  beforeAll(async () => {
    const client = new RestClient({ url: server.url });
    await client.register({ username: 'operator', email: 'operator@example.com', password: PASSWORD });
    await server.cli(['user', 'promote', 'operator']);
    await client.login('operator', PASSWORD);
    owner = { name: 'operator', client, token: await client.accessToken() };
    const { id } = await life.ask('GET', '/auth/me');
    await life.ask('PATCH', `/users/${String(id)}`, { subscription_plan: 'admin' });
    await client.login('operator', PASSWORD);
    const probe = await life.create('probe');
    await life.reach(probe, 'running');
    engine = await TestEngine.openBeside(probe);
    await life.remove(probe);
  });
  afterAll(() => engine.close());

  describeWholeLife(() => life, /^(container env-[0-9a-f]{24}-\d+|network .*)$/);

  it('have no rights, no socket of the engine and no way to the server’s own files', async () => {
    const id = await life.create('kept-apart');
    await life.reach(id, 'running');
    const shell = await life.shellOf(id);
    typeIn(
      shell,
      'grep -hE "^(CapBnd|NoNewPrivs)" /proc/self/status | tr "\\t" " "; ls -d /var/run/docker.sock /data /app; echo en""d\n',
    );
    await hears(shell, 'end\r\n');
    expect(heardIn(shell)).toMatch(/CapBnd: 0{16}/);
    expect(heardIn(shell)).toMatch(/NoNewPrivs: 1/);
    expect(heardIn(shell).match(/No such file or directory/g)).toHaveLength(3);
    await life.remove(id);
  });

  it('are told of by its command line, which sees the same database and engine', async () => {
    expect(await server.cli(['user', 'list'])).toMatch(/\boperator\b/);
    expect(await server.cli(['doctor'])).toMatch(/^ok +runtime +docker: .*, at unix:/m);
  });
});
