import { loadSettings } from '@devpocket/config';
import { StubEngine } from '@testing/runtime-docker';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { examineEngine } from './container-engine';
import { failed, type Finding, ok } from './doctor';
import { runtimeOf } from './doctor-database';

const DOCKER = { Version: '20.10.24', ApiVersion: '1.41', Components: [{ Name: 'Engine', Version: '20.10.24' }] };

describe('what the doctor says of a container engine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-doctor-'));
  let stub: StubEngine;
  beforeEach(async () => {
    stub = await StubEngine.open();
  });
  afterEach(() => stub.close());
  afterAll(() => rmSync(folder, { recursive: true }));
  const settings = (env: Readonly<Record<string, string>>) =>
    loadSettings({
      ENV_FILE: '/dev/null',
      DATA_DIR: folder,
      SECRET_KEY: 's'.repeat(32),
      ENCRYPTION_KEY: 'ab'.repeat(32),
      ...env,
    });
  const examine = (host: string): Promise<Finding> => examineEngine(settings({ DOCKER_HOST: host }).runtime);

  it('names it, and that its port is open to everybody', async () => {
    const found = examine(stub.settings.host);
    await stub.say('/version', DOCKER);
    await stub.say('/info', { LiveRestoreEnabled: true });
    expect(await found).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(/^docker: Docker Engine 20\.10\.24, API 1\.41, at tcp:.*, without TLS/) as string,
    });
  });

  it('wants an engine that is new enough, and asks for no more than it needs', async () => {
    const found = examine(stub.settings.host);
    await stub.say('/version', { ...DOCKER, ApiVersion: '1.40' });
    await stub.say('/info', { message: 'not allowed here' }, 403);
    expect(await found).toMatchObject({ status: 'failed', message: expect.stringContaining('API 1.41 is needed') as string });
  });

  it('says why there is none', async () => {
    expect(await examine(`unix://${folder}/docker.sock`)).toMatchObject({
      status: 'failed',
      message: expect.stringContaining(`no engine answers at unix://${folder}/docker.sock: nothing listens at`) as string,
    });
  });

  it.each<[string, string, 'ok' | 'failed', number, readonly string[]]>([
    ['docker', 'as the runtime that is asked for', 'ok', 0, ['runtime ok']],
    ['docker', 'as the runtime that is asked for and not there', 'failed', 0, ['runtime failed']],
    ['auto', 'as what is there', 'ok', 0, ['runtime ok']],
    ['auto', 'in passing, where it is not there', 'failed', 0, ['engine ok', 'runtime ok']],
    ['auto', 'nothing beside a cluster', 'failed', 1, ['runtime ok']],
    ['local', 'nothing where it is not meant', 'failed', 0, ['runtime ok']],
  ])('with RUNTIME=%s: %s', async (RUNTIME, _what, engine, clusters, expected) => {
    const grounds = {
      local: () => ok('runtime', 'local'),
      engine: () => Promise.resolve(engine === 'ok' ? ok('runtime', 'docker') : failed('runtime', 'none', 'start it')),
    };
    const found = await runtimeOf(settings({ RUNTIME }), clusters, grounds);
    expect(found.map(({ name, status }) => `${name} ${status}`)).toEqual(expected);
  });
});
