import { type Sighting, type TerminalChannel } from '@devpocket/runtime';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { reach, TestCluster } from '../testing';
import { pathOf } from './api-client';
import { type KubernetesDriver } from './kubernetes.driver';
import { namespaceOf } from './names';

const ID = '0123456789abcdef0123fa00';

/** A registry that has nothing, or lets nobody in. */
function registry(status: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((request, response) => {
      const challenge = status === 401 ? { 'www-authenticate': 'Basic realm="test"' } : {};
      response.writeHead(request.url === '/v2/' ? 200 : status, { 'content-type': 'application/json', ...challenge });
      response.end('{"errors":[{"code":"X","message":"refused"}]}');
    });
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function listen(channel: TerminalChannel): { text: () => string } {
  let text = '';
  channel.attach((chunk) => (text += chunk.toString('utf8')));
  return { text: () => text };
}

describe('what goes wrong in a cluster', () => {
  let cluster: TestCluster;
  let driver: KubernetesDriver;

  const open = async (options: Parameters<typeof TestCluster.open>[1] = {}): Promise<void> => {
    cluster = await TestCluster.open('faults', options);
    driver = await cluster.driver();
  };
  afterEach(() => cluster.close());
  const place = () => cluster.place(ID);
  /** Every end can be deleted. */
  const destroyed = async (): Promise<void> => {
    await driver.destroy(place());
    await reach(driver, place(), 'absent');
  };

  it.each<[number, object]>([
    [404, { reason: 'image_not_found', retryable: false }],
    [401, { reason: 'image_auth_failed', retryable: false }],
    [503, { reason: 'image_pull_failed', retryable: true }],
  ])('an image of a registry that answers %i', async (status, expected) => {
    await open();
    const server = await registry(status);
    try {
      const image = `127.0.0.1:${(server.address() as AddressInfo).port}/nope:1`;
      await driver.start(cluster.spec(ID, 1, { image }));
      expect(await reach(driver, place(), 'failed', { within: 60_000 })).toMatchObject(expected);
      await destroyed();
    } finally {
      server.close();
    }
  });

  it('a node selector that no node has', async () => {
    await open({ nodeSelector: { no: 'such-node' } });
    await driver.start(cluster.spec(ID, 1));
    expect(await reach(driver, place(), 'starting')).toMatchObject({ phase: 'queued' });
    expect(await reach(driver, place(), 'failed', { within: 90_000 })).toMatchObject({
      reason: 'unschedulable',
      retryable: true,
    });
    await destroyed();
  });

  it('a volume that never binds', async () => {
    await open({ storageClass: 'no-such-class' });
    await driver.start(cluster.spec(ID, 1));
    expect(await reach(driver, place(), 'failed', { within: 90_000 })).toMatchObject({
      reason: 'volume_failed',
      message: expect.stringContaining('no-such-class') as string,
    });
    await destroyed();
  });

  it('a container that cannot start, and one that ends by itself', async () => {
    await open();
    await driver.start(cluster.spec(ID, 1, { image: 'localhost/devkube/pause:3.2' }));
    expect(await reach(driver, place(), 'failed')).toMatchObject({
      incarnation: 1,
      reason: 'crash_loop',
      message: expect.stringContaining('/bin/sh') as string,
      retryable: false,
    });
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    await reach(driver, place(), 'stopped');
    await driver.start(cluster.spec(ID, 2));
    await reach(driver, place(), 'running');
    const shell = await driver.openTerminal(place(), { sessionId: 'a', cols: 80, rows: 24 });
    listen(shell);
    await shell.write(Buffer.from('kill -TERM 1\n'));
    expect(await reach(driver, place(), 'failed')).toMatchObject({ incarnation: 2, reason: 'crash_loop', retryable: true });
    expect(await shell.ended).toMatchObject({ reason: 'environment_stopped' });
    await destroyed();
  });

  it('a container that is out of memory', async () => {
    // All that it may use is requested: the kernel then scores its processes low, so that one can be made to stand out.
    await open({ cpuRequestPercent: 100, memoryRequestPercent: 100 });
    // A multiple of a thousand pages, by which the score is counted.
    const resources = { cpuMillis: 500, memoryBytes: 16_000 * 4096, storageBytes: 2 ** 20 };
    await driver.start(cluster.spec(ID, 1, { resources }));
    await reach(driver, place(), 'running');
    const shell = await driver.openTerminal(place(), { sessionId: 'a', cols: 80, rows: 24 });
    listen(shell);
    // The kernel ends the process with the highest score: the first, and with it the container.
    await shell.write(Buffer.from('echo 1000 >/proc/1/oom_score_adj; x=$(head -c 200000000 /dev/zero | tr "\\0" x)\n'));
    expect(await reach(driver, place(), 'failed')).toMatchObject({ reason: 'out_of_memory', retryable: true });
    expect(await shell.ended).toMatchObject({ reason: 'out_of_memory' });
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    await reach(driver, place(), 'stopped');
    await destroyed();
  });

  it('a pod deleted behind our back leaves the volume', async () => {
    await open();
    await driver.start(cluster.spec(ID, 1));
    await reach(driver, place(), 'running');
    const shell = await driver.openTerminal(place(), { sessionId: 'a', cols: 80, rows: 24 });
    const heard = listen(shell);
    await shell.write(Buffer.from('echo kept >file; echo writ""ten\n'));
    while (!heard.text().includes('written')) await new Promise((resolve) => setImmediate(resolve));
    await cluster.api.delete(pathOf('Pod', 'v1', namespaceOf('faults', 'u'), `env-${ID}-1`), { graceSeconds: 1 });
    expect(await reach(driver, place(), 'stopped')).toEqual({ seen: 'stopped', incarnation: 1, reason: null, message: null });
    expect(await shell.ended).toMatchObject({ reason: 'environment_stopped' });
    await driver.start(cluster.spec(ID, 2));
    await reach(driver, place(), 'running');
    const again = await driver.openTerminal(place(), { sessionId: 'b', cols: 80, rows: 24 });
    const found = listen(again);
    await again.write(Buffer.from('cat file\n'));
    while (!/^kept\r?$/m.test(found.text())) await new Promise((resolve) => setImmediate(resolve));
    await destroyed();
  });

  it('a namespace deleted behind our back leaves nothing, and can be made again', async () => {
    await open();
    await driver.start(cluster.spec(ID, 1));
    await reach(driver, place(), 'running');
    await cluster.api.delete(pathOf('Namespace', 'v1', null, namespaceOf('faults', 'u')));
    expect(await reach(driver, place(), 'absent', { within: 60_000 })).toEqual({ seen: 'absent' });
    await driver.start(cluster.spec(ID, 2));
    expect(await reach(driver, place(), 'running', { within: 60_000 })).toMatchObject({ incarnation: 2 });
    await destroyed();
  });

  it('variables, port and log of what has neither pod nor volume any more are seen, and go', async () => {
    await open();
    const spec = cluster.spec(ID, 1, { defaultPort: 8080, environmentVariables: { A: 'b' } });
    await driver.start(spec);
    await reach(driver, place(), 'running');
    await driver.stop(place(), { incarnation: 1, graceMs: 0, kill: true });
    await reach(driver, place(), 'stopped');
    const namespace = namespaceOf('faults', 'u');
    await cluster.api.delete(pathOf('PersistentVolumeClaim', 'v1', namespace, `env-${ID}`));
    await reach(driver, place(), 'absent');
    const ours = async (): Promise<readonly string[]> => (await cluster.left()).filter((name) => name.includes(ID)).sort();
    expect(await ours()).toEqual([`secrets env-${ID}`, `secrets env-${ID}-log-0`, `services env-${ID}`]);
    expect(await driver.list()).toEqual([{ ...place(), install: 'faults' }]);
    await driver.destroy(place());
    expect(await ours()).toEqual([]);
    expect(await driver.list()).toEqual([]);
  });

  it('more than the quota is refused by name', async () => {
    await open();
    const resources = { cpuMillis: 100, memoryBytes: 32 * 2 ** 20, storageBytes: 2 ** 20 };
    const quota = { active: 1, kept: 1, each: { ...resources, cpuMillis: 10 } };
    await expect(driver.start(cluster.spec(ID, 1, { resources, quota }))).rejects.toMatchObject({
      kind: 'refused',
      reason: 'quota_exceeded',
    });
    expect((await driver.look(place())).seen).toBe('stopped');
    await destroyed();
  });
});

describe('a cluster that does not answer', () => {
  let cluster: TestCluster;
  afterEach(() => cluster.close());

  it('changes no status, and is seen again without a restart', async () => {
    cluster = await TestCluster.open('unreachable');
    const proxy = await cluster.proxied();
    const driver = await cluster.driver();
    const place = cluster.place(ID);
    await driver.start(cluster.spec(ID, 1));
    await reach(driver, place, 'running');
    const shell = await driver.openTerminal(place, { sessionId: 'a', cols: 80, rows: 24 });
    const heard = listen(shell);
    await shell.write(Buffer.from('trap "" HUP; sleep 1000 & echo rea""dy\n'));
    while (!heard.text().includes('ready')) await new Promise((resolve) => setImmediate(resolve));

    // Cut off, all at once: watches go on, and what happened meanwhile is seen.
    proxy.cut();
    expect((await driver.look(place)).seen).toBe('running');
    // A shell ends with its connection, and says so.
    expect(await shell.ended).toEqual({ code: null, signal: 'SIGHUP', reason: 'killed' });

    await proxy.stop();
    const noticed = async (): Promise<unknown> => {
      for (;;) {
        await driver.look(place);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await expect(noticed()).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.check(AbortSignal.timeout(5_000))).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.start(cluster.spec(ID, 2))).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.stop(place, { incarnation: 1, graceMs: 0, kill: true })).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.destroy(place)).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(driver.openTerminal(place, { sessionId: 'b', cols: 80, rows: 24 })).rejects.toMatchObject({
      kind: 'unreachable',
    });
    expect((await driver.usage([place])).size).toBe(0);
    await cluster.api.delete(pathOf('Pod', 'v1', namespaceOf('unreachable', 'u'), `env-${ID}-1`), { graceSeconds: 1 });
    await proxy.start();
    const seen: Sighting['seen'][] = [];
    for (let end = performance.now() + 30_000; performance.now() < end && seen.at(-1) !== 'stopped';) {
      const sighting = await driver.look(place).catch(() => null);
      if (sighting && sighting.seen !== seen.at(-1)) seen.push(sighting.seen);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(seen.filter((one) => one !== 'running')).toEqual(['stopping', 'stopped'].slice(seen.includes('stopping') ? 0 : 1));
  });

  it('may be cut off between any two calls of a create or a delete: it is made whole or nothing is left', async () => {
    cluster = await TestCluster.open('cutoff');
    const proxy = await cluster.proxied();
    const isWrite = ({ method }: { readonly method: string }): boolean => method !== 'GET';
    const spec = cluster.spec(ID, 1, { defaultPort: 8080, environmentVariables: { A: 'b' } });
    const place = cluster.place(ID);
    /** One server's life, which ends at its n-th write. @returns how many writes it came to */
    const until = async (most: number, fate: 'lose_call' | 'lose_answer', work: (driver: KubernetesDriver) => Promise<void>) => {
      let writes = 0;
      const driver = await cluster.driver();
      proxy.fate = (call) => {
        if (isWrite(call)) writes += 1;
        return writes < most ? 'pass' : writes === most && isWrite(call) ? fate : 'lose_call';
      };
      await work(driver).catch((error: unknown) => expect(error).toMatchObject({ kind: 'unreachable' }));
      proxy.fate = () => 'pass';
      await driver.close({ keepTerminals: false });
      return writes;
    };
    for (const fate of ['lose_call', 'lose_answer'] as const) {
      for (let at = 1; ; at += 1) {
        const writes = await until(at, fate, (driver) => driver.start(spec));
        const next = await cluster.driver();
        await next.start(spec);
        await reach(next, place, 'running');
        await next.close({ keepTerminals: false });
        const gone = await until(at, fate, (driver) => driver.destroy(place));
        const last = await cluster.driver();
        if ((await last.look(place)).seen !== 'absent') await last.destroy(place);
        await reach(last, place, 'absent');
        await last.close({ keepTerminals: false });
        expect(gone).toBeGreaterThanOrEqual(Math.min(at, 4));
        if (writes < at && gone < at) break;
      }
    }
    const sweeper = await cluster.driver();
    expect(await sweeper.list()).toEqual([]);
  }, 600_000);
});
