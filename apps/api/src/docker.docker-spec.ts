import { Installation } from '@devpocket/database';
import { testSettings } from '@testing/config';
import { TEST_IMAGE, testEngine, TestEngine, TestRegistry } from '@testing/runtime-docker';
import { eventually, TestApi, type TestUser } from '../testing';
import { describeWholeLife, heardIn, hears, LifeRig, typeIn } from '../testing/whole-life';
import { runtimesOf } from './runtime-drivers';

describe('environments on a container engine, over HTTP and WebSocket', () => {
  // Nobody says which runtime: an engine answers.
  const { drivers, inspector } = runtimesOf(
    testSettings({ DATA_DIR: 'unused', RUNTIME: 'auto', DOCKER_HOST: testEngine().host }),
  );
  const api = new TestApi(
    (_dataDir, needs) => drivers(needs),
    { ALLOW_CUSTOM_IMAGES: 'true', ALLOWED_IMAGE_PATTERNS: `${TEST_IMAGE},127.0.0.1:*/*` },
    inspector,
  );
  let owner: TestUser;
  let engine: TestEngine;
  const life = new LifeRig(
    api,
    () => owner,
    TEST_IMAGE,
    () => engine.left(),
  );

  beforeAll(async () => {
    await api.start();
    owner = await api.administrator('operator');
    engine = await TestEngine.open(await api.running.app.get(Installation).id());
  });
  afterAll(async () => {
    await api.close();
    await engine.close();
  });

  it('are there because an engine answers, which the start says', () => {
    expect(api.running.summary.join('\n')).toMatch(
      /docker: environments are containers of .* at unix:.* \(RUNTIME=auto, no cluster is registered, and an engine answers at/,
    );
  });

  describeWholeLife(() => life, /^(container env-[0-9a-f]{24}-\d+|network .*)$/);

  it('have no cluster, no rights, no swap, limits, and a network that ends at their own door', async () => {
    const [one, other] = await Promise.all([life.create('one'), life.create('other')]);
    expect(await life.reach(one, 'running')).toMatchObject({ cluster_id: null });
    await life.reach(other, 'running');
    const shell = await life.shellOf(one);
    const address = await addressOf(engine, other);
    const status = 'grep -hE "^(CapEff|CapBnd|NoNewPrivs|Uid):" /proc/self/status | tr "\\t" " "';
    typeIn(
      shell,
      `${status}; ls -d /var/run/docker.sock /devpocket; ping -c 1 -W 1 ${address}; nc -w 1 ${address} 22; echo en""d\n`,
    );
    await hears(shell, 'end\r\n');
    const heard = heardIn(shell);
    expect(heard).toMatch(/CapBnd: 0{16}/);
    expect(heard).toMatch(/CapEff: 0{16}/);
    expect(heard).toMatch(/NoNewPrivs: 1/);
    expect(heard).toMatch(/Uid: 1000 1000 1000 1000/);
    expect(heard.match(/No such file or directory/g)).toHaveLength(2);
    expect(heard).not.toMatch(/ 0% packet loss/);
    const { Id } = await engine.running(one);
    const { HostConfig } = await engine.engine.get<{ readonly HostConfig: Record<string, unknown> }>(`/containers/${Id}/json`);
    expect(HostConfig).toMatchObject({ Privileged: false, RestartPolicy: { Name: 'no' }, PidsLimit: 1024 });
    expect(HostConfig.Memory).toBe(HostConfig.MemorySwap);
    await Promise.all([life.remove(one), life.remove(other)]);
  });

  it('show how far their image is, and what is wrong with it', async () => {
    const registry = await TestRegistry.open(engine.engine, TEST_IMAGE, [4 * 2 ** 20, 4 * 2 ** 20]);
    try {
      if (await engine.isPodman()) {
        // Registries without TLS are named in its registries.conf, or refused.
        const refused = await life.create('refused', { image: registry.image() });
        expect(await life.reach(refused, 'error')).toMatchObject({
          status_reason: 'image_pull_failed',
          status_message: expect.stringContaining('server gave HTTP response to HTTPS client') as string,
        });
        await life.remove(refused);
        return;
      }
      registry.manner.bytesPerSecond = 2 ** 19;
      const id = await life.create('fetched', { image: registry.image() });
      const seen: Record<string, unknown>[] = [];
      await eventually(async () => {
        seen.push(await life.ask('GET', `/environments/${id}`));
        return seen.at(-1)?.status === 'running';
      }, 60_000);
      const pulling = seen.filter(({ phase }) => phase === 'pulling_image').map(({ progress }) => Number(progress));
      expect(new Set(pulling).size).toBeGreaterThan(3);
      expect(pulling).toEqual([...pulling].sort((a, b) => a - b));
      await life.remove(id);
      registry.manner.status = 404;
      const absent = await life.create('absent', { image: registry.image('nope') });
      expect(await life.reach(absent, 'error')).toMatchObject({ status_reason: 'image_not_found', retryable: false });
      await life.remove(absent);
    } finally {
      await engine.engine.delete(`/images/${registry.image()}`, { query: { force: true } });
      await registry.close();
    }
  });

  it('that somebody else ends are in error, with their shells told and their volume kept', async () => {
    const id = await life.create('robbed');
    await life.reach(id, 'running');
    const shell = await life.shellOf(id);
    typeIn(shell, 'echo safe >kept; echo do""ne\n');
    await hears(shell, 'done\r\n');
    await engine.rob(id);
    expect(await shell.over).toBe(4410);
    const reasons = ['runtime_state_lost'];
    // Whoever looks between its end and its removal sees 137, which Podman does not tell from a want of memory (plans/0025).
    if (await engine.isPodman()) reasons.push('out_of_memory');
    const { status_reason, retryable } = await life.reach(id, 'error');
    expect([reasons, retryable]).toEqual([expect.arrayContaining([status_reason]), true]);
    await life.act(id, 'start', 'running');
    const again = await life.shellOf(id);
    typeIn(again, 'sed s/^/=/ kept\n');
    await hears(again, '=safe\r\n');
    typeIn(again, 'kill -TERM 1\n');
    expect(await life.reach(id, 'error')).toMatchObject({ status_reason: 'evicted', retryable: true });
    await life.remove(id);
  });
});

async function addressOf(engine: TestEngine, environmentId: string): Promise<string> {
  const { Id } = await engine.running(environmentId);
  interface Found {
    readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
  }
  const { NetworkSettings } = await engine.engine.get<Found>(`/containers/${Id}/json`);
  return Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? '';
}
