import { isRecord } from '@devpocket/client';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, localDrivers, type Talk, talk, TestApi, type TestUser } from '../testing';

describe('terminals whose sockets are beside their shells', () => {
  const api = new TestApi(localDrivers, { WS_MAX_CONNECTIONS_PER_USER: '2' });
  let user: TestUser;
  let id: string;
  const open: Talk[] = [];
  beforeAll(async () => {
    await api.start();
    user = await api.user('beside');
    const created = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    id = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
  });
  afterEach(async () => {
    for (const { socket, over } of open.splice(0)) {
      socket.terminate();
      await over;
    }
  });
  afterAll(() => api.close());

  function connect(query = ''): Talk {
    const conversation = talk(api.url, `/api/v1/ws/terminal/${id}?token=${user.token}${query}`);
    open.push(conversation);
    return conversation;
  }
  const said = (conversation: Talk, type: string): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(conversation.messages.find((message) => message.type === type)));
  const printed = ({ messages }: Talk): string =>
    messages.map(({ type, data }) => (type === 'output' ? String(data) : '')).join('');
  const say = ({ socket }: Talk, message: object): void => socket.send(JSON.stringify(message));
  const hostPid = (): number =>
    Number([...readFileSync(join(api.dataDir, 'run/pty-host.log'), 'utf8').matchAll(/process (\d+)/g)].at(-1)?.[1]);

  it('are served by the process that holds the shells', async () => {
    const shell = connect();
    await said(shell, 'welcome');
    say(shell, { type: 'input', data: 'echo he""re\n' });
    await eventually(() => Promise.resolve(printed(shell).includes('here\r\n')));
    // The other end of its connection: `sl local_address rem_address … inode` (proc(5)).
    const stream = (shell.socket as unknown as { readonly _socket: { readonly localPort?: number } })._socket;
    const hex = (stream.localPort ?? 0).toString(16).toUpperCase().padStart(4, '0');
    const line = new RegExp(`^\\s*\\d+: [0-9A-F]{8}:[0-9A-F]{4} [0-9A-F]{8}:${hex}(?:\\s+\\S+){6}\\s+(\\d+)`, 'm');
    const inode = line.exec(readFileSync('/proc/net/tcp', 'utf8'))?.[1] ?? '';
    expect([hostPid(), process.pid].map((pid) => holds(pid, inode))).toEqual([true, false]);
  });

  it('paint their screens, to a client and by HTTP', async () => {
    const shell = connect('&cols=40&rows=5');
    const { session_id: sessionId } = await said(shell, 'welcome');
    say(shell, { type: 'input', data: "clear; printf 'sc''reen \\346\\274\\242'\n" });
    await eventually(() => Promise.resolve(printed(shell).includes('screen 漢')));
    say(shell, { type: 'screen' });
    expect(await said(shell, 'screen')).toMatchObject({ cols: 40, rows: 5, data: expect.stringContaining('screen') as string });
    const path = `/environments/${id}/terminals/${String(sessionId)}`;
    const asked = await api.call('GET', `${path}/screen?format=text`, { token: user.token });
    expect(asked).toMatchObject({ status: 200, body: { data: expect.stringContaining('screen 漢') as string } });
    const stranger = await api.user('nobody');
    expect((await api.call('GET', `${path}/screen`, { token: stranger.token })).status).toBe(404);
    expect((await api.call('DELETE', path, { token: stranger.token })).status).toBe(404);
    expect(shell.socket.readyState).toBe(shell.socket.OPEN);
  });

  it('take a fresh token of their user and nobody else’s', async () => {
    const other = await api.user('another');
    const shell = connect();
    await said(shell, 'welcome');
    const answers: unknown[] = [];
    for (const token of ['x', other.token]) {
      say(shell, { type: 'auth', token });
      const before = answers.length;
      await eventually(() => {
        answers.splice(0, Infinity, ...shell.messages.filter(({ type }) => type === 'error').map(({ message }) => message));
        return Promise.resolve(answers.length > before);
      });
    }
    say(shell, { type: 'auth', token: user.token });
    say(shell, { type: 'ping' });
    await said(shell, 'pong');
    expect(answers).toEqual(['The token is not valid', 'The token is another user’s']);
    expect(shell.messages.filter(({ type }) => type === 'error')).toHaveLength(2);
  });

  it('let a client in that has closed another socket a moment ago', async () => {
    const [first, second] = [connect(), connect()];
    await Promise.all([said(first, 'welcome'), said(second, 'welcome')]);
    expect(await connect().over).toBe(4429);
    open.pop();
    for (let round = 0; round < 20; round += 1) {
      const old = open.shift();
      // It has been heard out when its close is answered; nobody has told the server yet.
      old?.socket.close();
      await old?.over;
      expect(await said(connect(), 'welcome')).toMatchObject({ resumed: false });
      const sessions = await user.client.request('GET', `/environments/${id}/terminals`);
      for (const one of Array.isArray(sessions) ? (sessions as unknown[]) : [])
        if (isRecord(one) && one.attached === 0)
          await user.client.request('DELETE', `/environments/${id}/terminals/${String(one.session_id)}`);
    }
  });

  it('are over when that process is killed, and others can be opened', async () => {
    const shells = [connect(), connect()];
    for (const shell of shells) await said(shell, 'welcome');
    process.kill(hostPid(), 'SIGKILL');
    expect(await Promise.all(shells.map(({ over }) => over))).toEqual([1006, 1006]);
    // Whoever comes before anybody has noticed is told so on a socket, as everywhere.
    const early = connect();
    expect([1011, 4409]).toContain(await early.over);
    expect(['unavailable', 'environment_not_running']).toContain(early.messages[0]?.code);
    await eventually(async () => (await user.client.environment(id)).status === 'error');
    await user.client.request('POST', `/environments/${id}/start`);
    await eventually(async () => (await user.client.environment(id)).status === 'running');
    for (const shell of [connect(), connect()]) await said(shell, 'welcome');
  });
});

/** Has a process the socket of that inode? */
function holds(pid: number, inode: string): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      return false; // closed meanwhile
    }
  });
}
