import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { type Place, type TerminalChannel, type TerminalRecord } from '@devpocket/runtime';
import { FakeDriver } from '@testing/runtime';
import { eventually, talk, TestApi, type TestUser } from '../testing';

/** A runtime whose environments say of their shells what their users want. */
class ForgedDriver extends FakeDriver {
  readonly forged = new Map<string, readonly string[]>();
  adopted = 0;

  override async terminals(place: Place): Promise<readonly TerminalRecord[]> {
    const ids = this.forged.get(place.environmentId) ?? [];
    const record = { createdAt: new Date(), cols: 80, rows: 24, position: 0, exit: null, endedAt: null };
    return [...ids.map((sessionId) => ({ ...record, sessionId })), ...(await super.terminals(place))];
  }

  override adoptTerminal(place: Place, sessionId: string): Promise<TerminalChannel> {
    this.adopted += 1;
    if (!this.forged.get(place.environmentId)?.includes(sessionId)) return super.adoptTerminal(place, sessionId);
    return super.openTerminal(place, { sessionId, cols: 80, rows: 24 });
  }
}

describe('what an environment says of its shells', () => {
  const driver = new ForgedDriver({ clock: new SystemClock() });
  const api = new TestApi(() => [driver], { TERMINAL_MAX_SESSIONS_PER_ENVIRONMENT: '2' });
  beforeAll(() => api.start());
  afterAll(() => api.close());

  interface Owned {
    readonly user: TestUser;
    readonly id: string;
    readonly place: Place;
  }
  const environment = async (name: string): Promise<Owned> => {
    const user = await api.user(name);
    const created = await user.client.request('POST', '/environments', { name, template: 'ubuntu' });
    const id = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
    return { user, id, place: { environmentId: id, userId: '', clusterId: null } };
  };
  const list = async ({ user, id }: Owned): Promise<string[]> => {
    const terminals = await user.client.request('GET', `/environments/${id}/terminals?limit=100`);
    return (Array.isArray(terminals) ? terminals : []).map((one: unknown) => (isRecord(one) ? String(one.session_id) : ''));
  };

  it("takes no other environment's shell away", async () => {
    const [mine, other] = [await environment('mine'), await environment('other')];
    const sessionId = 'a'.repeat(24);
    // As an earlier server left it.
    await driver.openTerminal(mine.place, { sessionId, cols: 80, rows: 24 });
    driver.forged.set(other.id, [sessionId]);
    expect(await list(other)).toEqual([sessionId]);
    expect(await list(mine)).toEqual([sessionId]);
    const conversation = talk(api.url, `/api/v1/ws/terminal/${mine.id}?token=${mine.user.token}&session_id=${sessionId}`);
    await eventually(() => Promise.resolve(conversation.messages.find(({ type }) => type === 'welcome')));
    driver.print(mine.id, sessionId, Buffer.from('from mine'));
    await eventually(() => Promise.resolve(conversation.messages.find(({ data }) => data === 'from mine')));
    conversation.socket.close();
    await conversation.over;
  });

  it('costs no more than as many shells as there may be', async () => {
    const many = await environment('many');
    const ids = Array.from({ length: 1_000 }, (_, index) => index.toString(16).padStart(24, '0'));
    driver.forged.set(many.id, ['../x', 'one', ...ids]);
    driver.adopted = 0;
    expect(await list(many)).toHaveLength(8);
    await list(many);
    expect(driver.adopted).toBe(8);
  });
});
