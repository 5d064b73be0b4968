import { isRecord, RestClient } from '@devpocket/client';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ServerProcess } from '../../../scripts/show/server-process';
import { eventually, EventSource, PASSWORD } from '../testing';

/** The built server on the embedded database, killed the moment after it answered. */
describe('events of a server that is killed', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-kill-'));
  let server: ServerProcess;
  let client: RestClient;
  beforeAll(async () => {
    server = new ServerProcess(await freePort(), {
      DATA_DIR: dataDir,
      RUNTIME: 'local',
      LOCAL_RUNTIME_NETWORK: 'none',
      LOCAL_RUNTIME_ALLOW_UNSANDBOXED_USERS: 'true',
      TERMINAL_HOST_GRACE_SECONDS: '2',
      BCRYPT_ROUNDS: '4',
    });
    await server.start();
    client = new RestClient({ url: server.url });
    await client.register({ username: 'survivor', email: 'survivor@example.com', password: PASSWORD });
    await client.login('survivor', PASSWORD);
  });
  afterAll(async () => {
    await server.end('SIGINT');
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('are there for all that it had answered, once each and in order', async () => {
    const listen = async (after: string): Promise<EventSource> =>
      EventSource.open(`${server.url}/api/v1/events?after=${after}`, { authorization: `Bearer ${await client.accessToken()}` });
    const first = await listen('');
    await eventually(() => Promise.resolve(first.lastId !== ''));
    const start = first.lastId;
    const created = await client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    const id = isRecord(created) ? String(created.id) : '';
    await server.end('SIGKILL');
    await server.start();
    const second = await listen(start);
    await eventually(() => Promise.resolve(second.events.length > 0));
    // Only wishes: a look that was killed holds its environment for a while, and nobody waits for that here.
    for (const wish of ['stop', 'start', 'stop']) await client.request('POST', `/environments/${id}/${wish}`);
    await client.request('DELETE', `/environments/${id}`);
    await server.end('SIGKILL');
    await server.start();
    const all = await listen(start);
    await eventually(() => Promise.resolve(all.events.find(({ desired_status: desired }) => desired === 'deleted')));
    all.close();
    expect(all.events[0]).toMatchObject({ type: 'environment.status', status: 'creating', status_version: 1 });
    expect(all.events.slice(0, second.events.length)).toEqual(second.events);
    const versions = all.events
      .filter(({ type }) => type !== 'environment.deleted')
      .map(({ status_version: version }) => Number(version));
    // Every version was told, none twice for the same, none after a newer one.
    expect([...new Set(versions)]).toEqual(Array.from({ length: Math.max(...versions) }, (_, at) => at + 1));
    expect(new Set(all.events.map((event) => `${String(event.status_version)} ${String(event.type)}`)).size).toBe(
      all.events.length,
    );
  });
});
