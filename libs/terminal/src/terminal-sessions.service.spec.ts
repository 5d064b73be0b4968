import {
  type ActivityRecorder,
  type EnvironmentEvents,
  type EnvironmentsService,
  type LocatedEnvironment,
} from '@devpocket/environments';
import { HealthRegistry } from '@devpocket/http';
import { type Place, RuntimeRegistry, type TerminalChannel, type TerminalRequest } from '@devpocket/runtime';
import { type TerminalSession } from '@devpocket/terminal-session';
import { ManualClock } from '@testing/kernel';
import { FakeDriver } from '@testing/runtime';
import { HostedSessions } from './hosted-sessions';
import { TerminalSessionsService } from './terminal-sessions.service';

const PLACE: Place = { environmentId: 'e', userId: 'u', clusterId: null };
const RESOURCES = { cpuMillis: 1000, memoryBytes: 256 * 2 ** 20, storageBytes: 64 * 2 ** 20 };
const ENVIRONMENT: LocatedEnvironment = {
  id: 'e',
  userId: 'u',
  name: 'one',
  template: 'ubuntu',
  status: 'running',
  statusVersion: 1,
  runtimeKind: 'local',
  place: PLACE,
  incarnation: 1,
};
const OUTLET = {
  send: () => undefined,
  output: () => undefined,
  probe: () => undefined,
  close: () => undefined,
  isDeaf: () => false,
};

/** Tells of which shells something is in the foreground. */
class BusyDriver extends FakeDriver {
  readonly busy = new Set<string>();

  override async openTerminal(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    const channel = await super.openTerminal(place, request);
    return Object.assign(channel, { foregroundBusy: () => Promise.resolve(this.busy.has(request.sessionId)) });
  }
}

describe('the shells of an environment', () => {
  let clock: ManualClock;
  let driver: BusyDriver;
  let service: TerminalSessionsService;
  beforeEach(async () => {
    clock = new ManualClock();
    driver = new BusyDriver({ clock, phases: 0 });
    await driver.start({
      ...PLACE,
      install: 'this',
      incarnation: 1,
      name: 'one',
      image: '',
      defaultPort: null,
      resources: RESOURCES,
      environmentVariables: {},
      startupCommands: [],
      quota: { active: 1, kept: 1, each: RESOURCES },
      readOnlyRoot: false,
      soleUser: false,
    });
    const runtimes = new RuntimeRegistry([driver]);
    const settings = { bufferBytes: 65_536, maxSessionsPerEnvironment: 3, maxConnectionsPerUser: 5, stallSeconds: 600 };
    const activity = { touch: () => undefined } as unknown as ActivityRecorder;
    const events = { subscribe: () => () => undefined } as unknown as EnvironmentEvents;
    const hosted = new HostedSessions(runtimes, {} as EnvironmentsService, settings, activity);
    service = new TerminalSessionsService(runtimes, settings, activity, events, hosted, clock, new HealthRegistry());
  });
  afterEach(() => service.leaveAll());

  async function open(): Promise<TerminalSession> {
    clock.push(1_000);
    return service.open(ENVIRONMENT, 80, 24);
  }
  function attach(session: TerminalSession): void {
    const request = { clientId: 'a', cols: null, rows: null, after: null, acks: false, view: false, outlet: OUTLET };
    const attachment = session.attach(request);
    if (attachment) session.begin(attachment.client);
  }
  const listed = async (): Promise<unknown> => (await service.list(ENVIRONMENT)).map(({ sessionId }) => sessionId).sort();
  const ids = (...sessions: readonly TerminalSession[]): unknown => sessions.map(({ id }) => id).sort();

  it('are at most so many: the oldest that is detached and idle gives way, else there is no other', async () => {
    const [attached, busy, idle] = [await open(), await open(), await open()];
    attach(attached);
    driver.busy.add(busy.id);
    const fourth = await open();
    expect(await listed()).toEqual(ids(attached, busy, fourth));
    expect(idle.alive).toBe(false);
    driver.busy.clear();
    const fifth = await open();
    expect(await listed()).toEqual(ids(attached, fourth, fifth));
    attach(fourth);
    driver.busy.add(fifth.id);
    await expect(open()).rejects.toMatchObject({ code: 'session_limit', kind: 'rate_limited' });
    expect(await listed()).toEqual(ids(attached, fourth, fifth));
  });

  it('give way by what was used last, not by what was opened last', async () => {
    const [first, second, third] = [await open(), await open(), await open()];
    clock.push(1_000);
    await first.typing.input({ clientId: 'a', view: false }, Buffer.from('x'), null);
    const fourth = await open();
    expect(await listed()).toEqual(ids(first, third, fourth));
    expect(second.alive).toBe(false);
  });

  it('are opened in one that runs, and found after their end with how it was', async () => {
    await expect(service.open({ ...ENVIRONMENT, status: 'stopped' }, 80, 24)).rejects.toMatchObject({
      code: 'environment_not_running',
      extra: { status: 'stopped' },
    });
    const session = await open();
    await session.typing.input({ clientId: 'a', view: false }, Buffer.from('exit 3\n'), null);
    clock.push(10 * 60_000 - 1);
    const found = await service.find({ ...ENVIRONMENT, status: 'stopped' }, session.id);
    expect(found.describe().exit).toEqual({ code: 3, signal: null, reason: 'exited' });
  });
});
