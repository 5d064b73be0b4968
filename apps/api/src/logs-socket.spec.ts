import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { eventually, type Talk, talk as talkTo, TestApi, type TestUser } from '../testing';

type Message = Readonly<Record<string, unknown>>;

describe('the socket on logs', () => {
  const driver = new FakeDriver({ clock: new SystemClock() });
  const api = new TestApi(() => [driver]);
  const talks: Talk[] = [];
  let user: TestUser;
  let id: string;
  beforeAll(async () => {
    await api.start();
    user = await api.user('listener');
    const created = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    id = isRecord(created) ? String(created.id) : '';
    await reaches('running');
  });
  afterEach(() => {
    for (const { socket } of talks.splice(0)) socket.terminate();
  });
  afterAll(() => api.close());

  const reaches = (status: string): Promise<unknown> =>
    eventually(async () => (await user.client.environment(id)).status === status);
  const talk = (query = ''): Talk => {
    const conversation = talkTo(api.url, `/api/v1/ws/logs/${id}?token=${user.token}${query}`);
    talks.push(conversation);
    return conversation;
  };
  const until = (conversation: Talk, type: string): Promise<Message> =>
    eventually(() => Promise.resolve(conversation.messages.find((message) => message.type === type)));
  const linesOf = ({ messages }: Talk): Message[] => messages.filter(({ type }) => type === 'log');
  /** What there is, read to its end. */
  const read = async (query = ''): Promise<Talk> => {
    const conversation = talk(`&follow=false${query}`);
    expect(await conversation.over).toBe(1000);
    return conversation;
  };

  it('tells lines whole, with their source and cursor, and cuts those that are too long', async () => {
    const following = talk();
    await until(following, 'caught_up');
    driver.say(id, 'hello');
    driver.say(id, 'é'.repeat(9_000));
    await eventually(() => Promise.resolve(linesOf(following).length >= 3));
    const [first, hello, long] = linesOf(following).slice(-3);
    expect(first).toMatchObject({ source: 'system' });
    expect(hello).toEqual({
      type: 'log',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      level: 'info',
      message: 'hello',
      source: 'container',
      cursor: expect.stringMatching(/^[\x21-\x7e]{1,128}$/) as string,
    });
    expect(long).toMatchObject({ truncated: true, message: 'é'.repeat(8_192) });
    following.socket.send('{"type":"ping","id":"a"}');
    expect(await until(following, 'pong')).toEqual({ type: 'pong', id: 'a' });
  });

  it('goes on behind a cursor, with the restart in between, and begins where it is asked to', async () => {
    driver.say(id, 'before');
    const [last] = linesOf(await read('&lines=1'));
    expect(last).toMatchObject({ message: 'before' });
    const following = talk('&lines=1');
    await until(following, 'caught_up');
    await user.client.request('POST', `/environments/${id}/restart`);
    await until(following, 'restarted');
    await reaches('running');
    driver.say(id, 'afterwards');
    await eventually(() => Promise.resolve(linesOf(following).at(-1)?.message === 'afterwards'));
    expect(following.messages.map(({ type }) => type)).toEqual([
      'log',
      'caught_up',
      'restarted',
      ...linesOf(following)
        .slice(1)
        .map(() => 'log'),
    ]);
    const away = await read(`&after=${String(last?.cursor)}`);
    expect(away.messages).toEqual([...following.messages.slice(2), { type: 'caught_up' }]);
    const timestamp = String(linesOf(following).at(-1)?.timestamp);
    expect(linesOf(await read(`&since=${timestamp}`)).every((line) => String(line.timestamp) >= timestamp)).toBe(true);
    expect(linesOf(await read('&since=2999-01-01T00:00:00Z'))).toEqual([]);
  });

  it('waits for a client that does not read, and loses nothing', async () => {
    const [last] = linesOf(await read('&lines=1'));
    const slow = talk(`&after=${String(last?.cursor)}`);
    await until(slow, 'caught_up');
    slow.socket.pause();
    const filler = 'x'.repeat(4_000);
    for (let line = 0; line < 3_000; line += 1) driver.say(id, `${line} ${filler}`);
    // Enough turns for the server to send all that it is going to.
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    slow.socket.resume();
    await eventually(() => Promise.resolve(linesOf(slow).length === 3_000));
    expect(linesOf(slow).map(({ message }) => parseInt(String(message)))).toEqual(Array.from({ length: 3_000 }, (_, at) => at));
  });

  it.each([
    ['lines=1001', 'invalid_lines'],
    ['follow=maybe', 'invalid_follow'],
    ['since=yesterday', 'invalid_time'],
    ['after=nothing', 'invalid_cursor'],
  ])('refuses %s', async (query, code) => {
    const conversation = talk(`&${query}`);
    expect(await conversation.over).toBe(4404);
    expect(conversation.messages).toMatchObject([{ type: 'error', code: 'validation_error', errors: [{ code }] }]);
  });

  it('reads what is left of a stopped environment, and ends with a deleted one', async () => {
    await user.client.request('POST', `/environments/${id}/stop`);
    await reaches('stopped');
    expect(linesOf(await read()).length).toBeGreaterThan(0);
    const following = talk();
    await until(following, 'caught_up');
    await user.client.request('DELETE', `/environments/${id}`);
    expect(await following.over).toBe(4410);
    expect(await talk().over).toBe(4404);
  });
});
