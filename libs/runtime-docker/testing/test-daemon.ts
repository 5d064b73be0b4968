import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, globSync, mkdtempSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type EngineSettings } from '../src';
import { Engine } from '../src/engine';
import { type ContainerSummary } from '../src/engine-objects';

/** A daemon is up in a second or two; what it left behind when it was killed takes it some more. */
const UP_MS = 30_000;
const CGROUP = 'devpocket-test';

/** A Docker Engine of the test's own beside whatever runs here, to be stopped and killed. Needs root, `dockerd`, `unshare` and `nsenter`. */
export class TestDaemon {
  private readonly folder = mkdtempSync(join(tmpdir(), 'devpocket-dockerd-'));
  private process: ChildProcess | null = null;
  private grounds: ChildProcess | null = null;

  private get socket(): string {
    return join(this.folder, 'docker.sock');
  }

  get settings(): EngineSettings {
    return { host: `unix://${this.socket}`, tlsVerify: false, certPath: null };
  }

  /** @param liveRestore do containers live on while it is away? Docker's own default is no */
  async start(liveRestore: boolean): Promise<void> {
    const at = (name: string): string => join(this.folder, name);
    const configuration = {
      hosts: [this.settings.host],
      pidfile: at('dockerd.pid'),
      'data-root': at('data'),
      'exec-root': at('exec'),
      'deprecated-key-path': at('key.json'),
      'exec-opts': ['native.cgroupdriver=cgroupfs'],
      'cgroup-parent': `/${CGROUP}`,
      'oom-score-adjust': 0,
      bridge: 'none',
      iptables: false,
      'ip-forward': false,
      'live-restore': liveRestore,
      'shutdown-timeout': 3,
    };
    writeFileSync(at('daemon.json'), JSON.stringify(configuration));
    const log = openSync(at('log'), 'a');
    const daemon = spawn('nsenter', [...(await this.enterGrounds()), 'dockerd', '--config-file', at('daemon.json')], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    let failure: Error | null = null;
    daemon.once('error', (error) => (failure = error));
    this.process = daemon;
    const engine = await this.engine();
    for (const end = performance.now() + UP_MS; ; await delay(50)) {
      const answered = await engine.get('/_ping').then(
        () => true,
        () => false,
      );
      if (answered) return;
      if (failure ?? (daemon.exitCode !== null || performance.now() > end))
        throw new Error(`dockerd does not come up: ${failure ?? readFileSync(at('log'), 'utf8').slice(-2_000)}`);
    }
  }

  /**
   * A network and mounts of its own that live from one daemon to the next. It would take another's bridge for its own, even to remove it;
   * and where mounts are not shared, as they are on any machine with systemd, a daemon makes its folder so and undoes that when it goes,
   * and the root of a container that lives on is then nowhere.
   */
  private async enterGrounds(): Promise<readonly string[]> {
    if (!this.grounds) {
      this.grounds = spawn('unshare', ['--mount', '--net', '--propagation', 'shared', 'sh', '-c', 'echo; exec sleep infinity'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      if (this.grounds.stdout) await once(this.grounds.stdout, 'data');
    }
    return ['--target', String(this.grounds.pid), '--mount', '--net'];
  }

  /** Brings an image over from another engine. */
  async load(from: Engine, image: string): Promise<void> {
    const archive = await from.stream('GET', `/images/${image}/get`);
    const headers = { 'Content-Type': 'application/x-tar' };
    const load = request({ socketPath: this.socket, method: 'POST', path: '/images/load?quiet=1', headers });
    const answered = once(load, 'response');
    await pipeline(archive, load);
    const [answer] = (await answered) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`the image does not load: ${answer.statusCode ?? 0}`);
    await once(answer.resume(), 'end');
  }

  /** Resolves when it has gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const daemon = this.process;
    this.process = null;
    if (daemon?.exitCode !== null || daemon.signalCode !== null) return;
    const containerd = readFileSync(join(this.folder, 'exec/containerd/containerd.pid'), 'utf8');
    const gone = once(daemon, 'exit');
    daemon.kill(signal);
    await gone;
    // Its containerd ends after it, and the next daemon would take it for its own meanwhile.
    while (existsSync(`/proc/${containerd}`)) await delay(20);
  }

  /** Leaves nothing behind. */
  async close(): Promise<void> {
    if (!this.process) await this.start(false);
    const engine = await this.engine();
    for (const { Id } of await engine.get<readonly ContainerSummary[]>('/containers/json', { query: { all: true } }))
      await engine.remove(Id);
    await this.stop('SIGTERM');
    this.grounds?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
    // One of each controller with version 1, one in all with version 2.
    for (const group of globSync(`/sys/fs/cgroup/{,*/}${CGROUP}`)) await removeGroup(group);
  }

  engine(): Promise<Engine> {
    return Engine.open(this.settings);
  }
}

/** The kernel lets go of what was in it some moments after the last process has ended; who comes next uses one that stays. */
async function removeGroup(path: string): Promise<void> {
  for (let left = 50; left > 0; left -= 1) {
    try {
      return rmdirSync(path);
    } catch {
      await delay(20);
    }
  }
}
