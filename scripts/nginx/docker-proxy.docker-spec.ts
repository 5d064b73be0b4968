import { Installation } from '@devpocket/database';
import { UsersService } from '@devpocket/users';
import { testSettings } from '@testing/config';
import { TEST_IMAGE, testEngine, TestEngine } from '@testing/runtime-docker';
import { PASSWORD, TestApi, type TestUser } from '../../apps/api/testing';
import { describeWholeLife, LifeRig } from '../../apps/api/testing/whole-life';
import { runtimesOf } from '../../apps/api/src/runtime-drivers';
import { freePort } from '../show/server-process';
import { NginxProcess } from './nginx-process';

describe('a server that has the engine through docker-proxy', () => {
  let api: TestApi;
  let owner: TestUser;
  let engine: TestEngine;
  let proxy: NginxProcess;
  let address: string;
  const life = new LifeRig(
    {
      get url() {
        return api.url;
      },
      addTemplate: (text) => api.addTemplate(text),
    },
    () => owner,
    TEST_IMAGE,
    () => engine.left(),
  );

  beforeAll(async () => {
    const port = await freePort();
    const socket = testEngine().host.slice('unix://'.length);
    proxy = NginxProcess.prepare('docker-proxy.conf', {
      'listen 2375': `listen 127.0.0.1:${port}`,
      '/var/run/docker.sock': socket,
    });
    await proxy.start(port);
    address = `127.0.0.1:${port}`;
    const { drivers, inspector } = runtimesOf(
      testSettings({ DATA_DIR: 'unused', RUNTIME: 'docker', DOCKER_HOST: `tcp://${address}` }),
    );
    api = new TestApi(
      (_dataDir, needs) => drivers(needs),
      { ALLOW_CUSTOM_IMAGES: 'true', ALLOWED_IMAGE_PATTERNS: TEST_IMAGE },
      inspector,
    );
    await api.start();
    owner = await api.user('operator');
    const users = api.running.app.get(UsersService);
    const id = (await users.findByName('operator'))?.id ?? '';
    await users.promote(id);
    await owner.client.login('operator', PASSWORD);
    await life.ask('PATCH', `/users/${id}`, { subscription_plan: 'admin' });
    await owner.client.login('operator', PASSWORD);
    engine = await TestEngine.open(await api.running.app.get(Installation).id());
  });
  afterAll(async () => {
    await api.close();
    await engine.close();
    await proxy.close();
  });

  describeWholeLife(() => life, /^(container env-[0-9a-f]{24}-\d+|network .*)$/);

  it('hears of an image that is not there as from the engine itself', async () => {
    const answer = await fetch(`http://${address}/images/devpocket/none:1/json`);
    expect(answer.status).toBe(404);
  });

  it.each([
    ['GET', '/info'],
    ['GET', '/v1.41/info'],
    ['GET', '/system/df'],
    ['GET', '/images/json'],
    ['POST', '/build'],
    ['POST', '/commit'],
    ['POST', '/auth'],
    ['POST', '/images/load'],
    ['DELETE', `/images/${TEST_IMAGE}`],
    ['GET', `/images/${TEST_IMAGE}/get`],
    ['POST', '/images/prune'],
    ['POST', '/containers/prune'],
    ['POST', '/volumes/prune'],
    ['DELETE', '/volumes/of-somebody'],
    ['GET', '/containers/x/export'],
    ['GET', '/containers/x/top'],
    ['POST', '/containers/x/attach'],
    ['POST', '/containers/x/update'],
    ['POST', '/containers/x%2F..%2Fy/attach'],
    ['POST', '/networks/x/connect'],
    ['POST', '/swarm/init'],
    ['GET', '/secrets'],
    ['GET', '/plugins'],
    ['POST', '/session'],
    ['GET', '/_ping/../info'],
    ['GET', '//info'],
  ])('may not %s %s', async (method, path) => {
    const answer = await fetch(`http://${address}${path}`, { method });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toEqual({ message: expect.stringMatching(/^docker-proxy: .* is not allowed$/) as string });
  });
});
