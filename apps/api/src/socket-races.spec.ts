import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { type Place, type TerminalChannel, type TerminalRecord, type TerminalRequest } from '@devpocket/runtime';
import { FakeDriver } from '@testing/runtime';
import { once } from 'node:events';
import { type Server } from 'node:http';
import { eventually, type Talk, talk, TestApi, type TestUser } from '../testing';

type Question = 'list' | 'open' | 'look';

/** A runtime that takes its time over its shells. */
class SlowDriver extends FakeDriver {
  private readonly gates = new Map<Question, Promise<void>>();
  readonly asked = { list: 0, open: 0, look: 0 };
  opened = 0;

  /** From now on no such question is answered until what this returns is called. */
  hold(question: Question): () => void {
    let release: () => void = () => undefined;
    this.gates.set(question, new Promise((resolve) => (release = resolve)));
    return () => {
      this.gates.delete(question);
      release();
    };
  }

  /** Resolves when the question has been asked once more. */
  async question(question: Question): Promise<void> {
    const before = this.asked[question];
    await eventually(() => Promise.resolve(this.asked[question] > before));
  }

  override async terminals(place: Place): Promise<readonly TerminalRecord[]> {
    await this.gate('list');
    return super.terminals(place);
  }

  override async openTerminal(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    await this.gate('open');
    const channel = await super.openTerminal(place, request);
    this.opened += 1;
    return Object.assign(channel, {
      foregroundBusy: async () => {
        await this.gate('look');
        return false;
      },
    });
  }

  private async gate(question: Question): Promise<void> {
    this.asked[question] += 1;
    await this.gates.get(question);
  }
}

describe('sockets that come and go at the wrong moment', () => {
  const driver = new SlowDriver({ clock: new SystemClock() });
  const api = new TestApi(() => [driver], {
    WS_MAX_CONNECTIONS_PER_USER: '2',
    TERMINAL_MAX_SESSIONS_PER_ENVIRONMENT: '1',
  });
  let user: TestUser;
  let id: string;
  beforeAll(async () => {
    await api.start();
    user = await api.user('racer');
    const created = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    id = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
  });
  afterAll(() => api.close());

  const connect = (query = ''): Talk => talk(api.url, `/api/v1/ws/terminal/${id}?token=${user.token}${query}`);
  const said = (conversation: Talk, type: string): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(conversation.messages.find((message) => message.type === type)));
  const alive = async (): Promise<unknown[]> => {
    const list = await user.client.request('GET', `/environments/${id}/terminals`);
    return (Array.isArray(list) ? (list as unknown[]) : []).filter((one) => isRecord(one) && one.exit === null);
  };

  it('leaves no shell behind for a client that went before it was open', async () => {
    const other = talk(api.url, `/api/v1/ws/logs/${id}?token=${user.token}`);
    await said(other, 'caught_up');
    const release = driver.hold('open');
    const asked = driver.question('open');
    const conversation = connect();
    await asked;
    conversation.socket.terminate();
    await conversation.over;
    // Its place is free when the server has seen it go.
    await eventually(async () => {
      const next = talk(api.url, `/api/v1/ws/logs/${id}?token=${user.token}&follow=false`);
      return (await next.over) === 1000;
    });
    release();
    await eventually(() => Promise.resolve(driver.opened === driver.asked.open));
    await eventually(async () => (await alive()).length === 0);
    other.socket.close();
    await other.over;
  });

  it('ends no shell that somebody comes back to while room is made', async () => {
    const first = connect();
    const { session_id: session } = await said(first, 'welcome');
    first.socket.close();
    await first.over;
    await eventually(async () => (await alive()).every((one) => isRecord(one) && one.attached === 0));
    const release = driver.hold('look');
    const asked = driver.question('look');
    const second = connect();
    await asked;
    const again = connect(`&session_id=${String(session)}`);
    await said(again, 'welcome');
    release();
    expect(await second.over).toBe(4429);
    expect(second.messages).toEqual([
      expect.objectContaining({ type: 'error', code: 'session_limit', retry_after_ms: expect.any(Number) as unknown }),
    ]);
    again.socket.close();
    await again.over;
  });

  it('opens no shell for who wants to go on behind the end of none', async () => {
    const { open } = driver.asked;
    const conversation = connect('&after=5');
    expect(await conversation.over).toBe(4404);
    expect(conversation.messages).toEqual([expect.objectContaining({ type: 'error', code: 'bad_after' })]);
    expect(driver.asked.open).toBe(open);
  });

  it('welcomes first, whatever size it comes with', async () => {
    const first = connect();
    const { session_id: session } = await said(first, 'welcome');
    first.socket.close();
    await first.over;
    const again = connect(`&session_id=${String(session)}&cols=100&rows=30`);
    expect(await said(again, 'welcome')).toMatchObject({ cols: 100, rows: 30 });
    expect(again.messages[0]?.type).toBe('welcome');
    again.socket.close();
    await again.over;
  });

  it('closes at once what a credential ends while its session is looked for', async () => {
    const guest = await api.user('guest');
    const created = await guest.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    const own = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await guest.client.environment(own)).status === 'running');
    const release = driver.hold('list');
    const asked = driver.question('list');
    const session = '0123456789abcdef01234567';
    const conversation = talk(api.url, `/api/v1/ws/terminal/${own}?token=${guest.token}&session_id=${session}`);
    await asked;
    await guest.client.request('POST', '/auth/logout');
    expect(await conversation.over).toBe(4401);
    expect(conversation.messages).toEqual([expect.objectContaining({ type: 'error', code: 'session_revoked' })]);
    release();
  });

  it('closes what an environment had as soon as its end is answered, however long its runtime takes', async () => {
    const owner = await api.user('owner');
    const created = await owner.client.request('POST', '/environments', { name: 'doomed', template: 'ubuntu' });
    const own = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await owner.client.environment(own)).status === 'running');
    const attached = talk(api.url, `/api/v1/ws/terminal/${own}?token=${owner.token}`);
    await said(attached, 'welcome');
    driver.stuck = true;
    await owner.client.request('DELETE', `/environments/${own}`);
    expect(await attached.over).toBe(4410);
    expect(attached.messages.at(-1)).toEqual({ type: 'exit', code: null, signal: null, reason: 'environment_stopped' });
    driver.stuck = false;
  });

  it('sees the end of a shell that nobody takes the output of, when its environment stops', async () => {
    const deaf = connect('&ack=1');
    const { session_id: session } = await said(deaf, 'welcome');
    for (let print = 0; print < 2; print += 1) driver.print(id, String(session), Buffer.alloc(1_048_576, 'x'));
    expect(await alive()).toHaveLength(1);
    await user.client.request('POST', `/environments/${id}/stop`);
    await eventually(async () => (await alive()).length === 0);
    deaf.socket.terminate();
    await deaf.over;
    await user.client.request('POST', `/environments/${id}/start`);
    await eventually(async () => (await user.client.environment(id)).status === 'running');
  });

  it('turns away who knocks while it stops', async () => {
    const server: Server = api.running.app.getHttpServer();
    const knocked = once(server, 'upgrade');
    const conversation = connect();
    await knocked;
    await api.restart();
    expect(await conversation.over).toBe(503);
  });
});
