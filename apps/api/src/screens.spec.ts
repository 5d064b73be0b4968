import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { eventually, type Talk, talk, TestApi, type TestUser } from '../testing';

describe('screen, key and paste', () => {
  const driver = new FakeDriver({ clock: new SystemClock() });
  const api = new TestApi(() => [driver]);
  let user: TestUser;
  let id: string;
  beforeAll(async () => {
    await api.start();
    user = await api.user('painter');
    const created = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    id = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
  });
  afterAll(() => api.close());

  const said = (conversation: Talk, type: string): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(conversation.messages.find((message) => message.type === type)));

  async function open(query = ''): Promise<{ conversation: Talk; sessionId: string; send: (message: object) => void }> {
    const conversation = talk(api.url, `/api/v1/ws/terminal/${id}?token=${user.token}${query}`);
    const { session_id: sessionId } = await said(conversation, 'welcome');
    const send = (message: object): void => conversation.socket.send(JSON.stringify(message));
    return { conversation, sessionId: String(sessionId), send };
  }

  const get = async (sessionId: string, query = '', token = user.token): Promise<[number, unknown]> => {
    const { status, body } = await api.call('GET', `/environments/${id}/terminals/${sessionId}/screen${query}`, { token });
    return [status, body];
  };

  it('paints a screen to a client and tells it by HTTP', async () => {
    const { conversation, sessionId, send } = await open('&cols=20&rows=3');
    driver.print(id, sessionId, Buffer.from('\x1b[?1049h\x1b[?2004h\x1b[2;3H漢字 here'));
    await said(conversation, 'output');
    send({ type: 'screen' });
    const screen = await said(conversation, 'screen');
    expect(screen).toMatchObject({ seq: 33, cols: 20, rows: 3 });
    expect(String(screen.data).startsWith('\x1bc')).toBe(true);
    expect(screen.data).toMatch(/\[\?1049h.*漢.*字.* here.*\[\?2004h/su);
    driver.print(id, sessionId, Buffer.from(' and on'));
    await eventually(() => Promise.resolve(conversation.messages.find(({ seq, type }) => type === 'output' && seq === 40)));
    expect(conversation.messages.at(-1)).toMatchObject({ data: ' and on' });
    expect(await get(sessionId)).toEqual([
      200,
      { session_id: sessionId, seq: 40, cols: 20, rows: 3, format: 'text', data: '\n  漢字 here and on\n' },
    ]);
    const [status, ansi] = await get(sessionId, '?format=ansi');
    expect([status, ansi]).toMatchObject([200, { format: 'ansi', seq: 40 }]);
    expect((await get(sessionId, '?format=html'))[0]).toBe(422);
    expect((await get('0'.repeat(24)))[0]).toBe(404);
    expect((await get(sessionId, '', (await api.user('stranger')).token))[0]).toBe(404);
    conversation.socket.close();
    await conversation.over;
  });

  it('tells the screen of a shell that has ended', async () => {
    const { conversation, sessionId, send } = await open('&cols=20&rows=4');
    send({ type: 'input', data: 'echo bye\nexit 0\n' });
    expect(await conversation.over).toBe(1000);
    expect(await get(sessionId)).toMatchObject([200, { data: 'echo bye\nbye\nexit 0\n' }]);
  });

  it('types keys and pastes, once each, also to a client that came back', async () => {
    const first = await open('&client_id=phone');
    driver.print(id, first.sessionId, Buffer.from('\x1b[?1h\x1b[?2004h'));
    await said(first.conversation, 'output');
    first.send({ type: 'key', key: 'ArrowUp', seq: 1 });
    expect(await said(first.conversation, 'input_ack')).toMatchObject({ seq: 1 });
    first.send({ type: 'key', key: 'Dead' });
    expect(await said(first.conversation, 'error')).toMatchObject({ code: 'bad_key' });
    first.send({ type: 'paste', id: 'p', data: 'echo\x1b[201~ hi' });
    expect(await said(first.conversation, 'paste_done')).toEqual({ type: 'paste_done', id: 'p', bytes: 7 });
    first.conversation.socket.terminate();
    const second = await open(`&client_id=phone&session_id=${first.sessionId}`);
    expect(await said(second.conversation, 'welcome')).toMatchObject({ input_seq: 1 });
    second.send({ type: 'key', key: 'ArrowUp', seq: 1 });
    second.send({ type: 'paste', id: 'p', data: 'something else' });
    expect(await said(second.conversation, 'paste_done')).toEqual({ type: 'paste_done', id: 'p', bytes: 7 });
    second.send({ type: 'paste_cancel', id: 'p' });
    second.send({ type: 'key', key: 'Enter', seq: 2 });
    await eventually(() =>
      Promise.resolve(second.conversation.messages.find(({ type, seq }) => type === 'input_ack' && seq === 2)),
    );
    const echoed = second.conversation.messages.map(({ type, data }) => (type === 'output' ? String(data) : '')).join('');
    expect(echoed).toBe('\x1b[?1h\x1b[?2004h\x1bOA\x1b[200~echo hi\x1b[201~\r\n');
    const viewer = await open(`&mode=view&session_id=${first.sessionId}`);
    viewer.send({ type: 'paste', id: 'q', data: 'x' });
    expect(await said(viewer.conversation, 'error')).toMatchObject({ code: 'read_only', id: 'q' });
    viewer.send({ type: 'screen' });
    await said(viewer.conversation, 'screen');
    for (const { conversation } of [second, viewer]) {
      conversation.socket.close();
      await conversation.over;
    }
  });
});
