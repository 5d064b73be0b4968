import { LABEL } from '@devpocket/container-runtime';
import { SystemClock } from '@devpocket/kernel';
import { type EnvironmentSpec, type Place, type RuntimeDriver, type Sighting } from '@devpocket/runtime';
import { setTimeout as delay } from 'node:timers/promises';
import { DockerDriver, type EngineSettings } from '../src';
import { ContainerList } from '../src/container-list';
import { Engine } from '../src/engine';
import { type ContainerSummary, type Network, type Volume } from '../src/engine-objects';
import { EngineSession } from '../src/engine-session';
import { filterOf, incarnationOf, isOf } from '../src/names';
import { isAlive, mainsOf } from '../src/sight';

/** Present on the engine without a registry: a shell, busybox and a user 1000. */
export const TEST_IMAGE = 'devpocket/tiny:1';

/** Of the engine that suites run on, which they look at behind drivers' backs. */
export function testEngine(): EngineSettings {
  const host = process.env.DOCKER_HOST;
  if (!host) throw new Error('DOCKER_HOST names no engine to test on');
  return { host, tlsVerify: false, certPath: null };
}

/** A driver on the real engine, and the engine itself to look behind it. */
export class TestEngine {
  private readonly drivers: DockerDriver[] = [];

  private constructor(
    readonly engine: Engine,
    readonly install: string,
    private readonly settings: EngineSettings,
  ) {}

  /** @param settings of the way that drivers take */
  static async open(install: string, settings = testEngine()): Promise<TestEngine> {
    return new TestEngine(await Engine.open(testEngine()), install, settings);
  }

  /** Of whoever has this environment, be it a server in another process. */
  static async openBeside(environmentId: string): Promise<TestEngine> {
    const { engine } = await TestEngine.open('');
    const query = { all: true, filters: { label: [`${LABEL.environment}=${environmentId}`] } };
    const [one] = await engine.get<readonly ContainerSummary[]>('/containers/json', { query });
    if (!one) throw new Error(`there is no container of ${environmentId}`);
    return TestEngine.open(one.Labels?.[LABEL.install] ?? '');
  }

  place(environmentId: string, userId = 'u'): Place {
    return { environmentId, userId, clusterId: null };
  }

  spec(environmentId: string, incarnation: number, more: Partial<EnvironmentSpec> = {}): EnvironmentSpec {
    const resources = { cpuMillis: 500, memoryBytes: 64 * 2 ** 20, storageBytes: 64 * 2 ** 20 };
    return {
      ...this.place(environmentId),
      install: this.install,
      incarnation,
      name: 'test',
      image: TEST_IMAGE,
      defaultPort: null,
      resources,
      environmentVariables: {},
      startupCommands: [],
      quota: { active: 100, kept: 100, each: resources },
      readOnlyRoot: false,
      soleUser: false,
      ...more,
    };
  }

  async driver(): Promise<DockerDriver> {
    const driver = this.newDriver();
    await driver.open();
    return driver;
  }

  /** Not open yet. */
  newDriver(): DockerDriver {
    const driver = new DockerDriver({
      engine: this.settings,
      loginFolder: null,
      install: () => Promise.resolve(this.install),
      clock: new SystemClock(),
      terminalBufferBytes: 1_048_576,
      chosen: 'for a test',
    });
    this.drivers.push(driver);
    return driver;
  }

  containers(environmentId?: string): Promise<readonly ContainerSummary[]> {
    const list = new ContainerList(this.engine, this.install, new SystemClock());
    return list.read(environmentId === undefined ? {} : { environmentId });
  }

  async isPodman(): Promise<boolean> {
    return (await new EngineSession(this.engine, this.install, new SystemClock()).identity()).isPodman;
  }

  /** The container whose shells run now. */
  async running(environmentId: string): Promise<ContainerSummary> {
    const [main] = mainsOf(await this.containers(environmentId)).filter(isAlive);
    if (!main) throw new Error(`nothing runs of ${environmentId}`);
    return main;
  }

  /** Everything of this installation, as `kind name`. */
  async left(): Promise<readonly string[]> {
    const query = { filters: filterOf(this.install) };
    const [containers, { Volumes }, networks] = await Promise.all([
      this.containers(),
      this.engine.get<{ readonly Volumes: readonly Volume[] | null }>('/volumes', { query }),
      this.networks(),
    ]);
    return [
      ...containers.map(({ Names }) => `container ${Names[0]?.slice(1) ?? ''}`),
      ...(Volumes ?? []).filter((one) => isOf(one, this.install)).map(({ Name }) => `volume ${Name}`),
      ...networks.map(({ Name }) => `network ${Name}`),
    ].sort();
  }

  private async networks(): Promise<readonly Network[]> {
    const query = { filters: filterOf(this.install) };
    return (await this.engine.get<readonly Network[]>('/networks', { query })).filter((one) => isOf(one, this.install));
  }

  /** Removes what runs of an environment, as somebody else would. */
  async rob(environmentId: string): Promise<void> {
    for (const one of mainsOf(await this.containers(environmentId))) await this.engine.remove(one.Id);
  }

  /** Ends what was opened here and removes everything of this installation. */
  async close(): Promise<void> {
    for (const driver of this.drivers) await driver.close({ keepTerminals: false });
    await this.clear();
  }

  async clear(): Promise<void> {
    for (const { Id } of await this.containers()) await this.engine.remove(Id);
    // By their ids: two networks of one name are what a fault may leave.
    for (const { Id } of await this.networks()) await this.engine.delete(`/networks/${Id}`);
    for (const object of await this.left()) {
      const [kind, name = ''] = object.split(' ');
      await this.engine.delete(`/${kind ?? ''}s/${name}`);
    }
  }
}

/** Looks until it is so. */
export async function reach(
  driver: RuntimeDriver,
  place: Place,
  seen: Sighting['seen'],
  { within = 30_000, incarnation }: { readonly within?: number; readonly incarnation?: number } = {},
): Promise<Sighting> {
  const end = performance.now() + within;
  for (;;) {
    const sighting = await driver.look(place);
    const right = sighting.seen === seen;
    if (right && (incarnation === undefined || (sighting.seen !== 'absent' && sighting.incarnation === incarnation)))
      return sighting;
    if (performance.now() > end) throw new Error(`not ${seen} within ${within / 1000} s, but ${JSON.stringify(sighting)}`);
    await delay(20);
  }
}

export { incarnationOf };
