import { isRecord, TerminalClient } from '@devpocket/client';
import { createHash } from 'node:crypto';
import { eventually, localDrivers, type Talk, talk, TestApi, type TestUser, witnessedSocket } from '../testing';

describe('a terminal on real shells', () => {
  const api = new TestApi(localDrivers);
  let user: TestUser;
  let environmentId: string;
  let address: string;
  let terminal: TerminalClient | null = null;
  let printed = '';
  let gaps = 0;
  beforeAll(async () => {
    await api.start();
    user = await api.user('walker');
    const created = await user.client.request('POST', '/environments', { name: 'walk', template: 'ubuntu' });
    environmentId = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(environmentId)).status === 'running');
  });
  afterEach(() => terminal?.close());
  afterAll(() => api.close());

  function open(): { readonly terminal: TerminalClient; readonly ended: Promise<string | null> } {
    printed = '';
    gaps = 0;
    address = api.url;
    let end: (error: string | null) => void = () => undefined;
    const ended = new Promise<string | null>((resolve) => (end = resolve));
    terminal = new TerminalClient({
      // A restarted server listens on another port.
      url: 'http://server',
      openSocket: (url, protocols) => witnessedSocket(url.replace('ws://server', address.replace('http', 'ws')), protocols),
      environmentId,
      token: () => Promise.resolve(user.token),
      cols: 80,
      rows: 24,
      backoff: () => 20,
      onGap: () => (gaps += 1),
      onOutput: (data) => (printed += data),
      onEnd: ({ error }) => end(error),
    });
    terminal.connect();
    return { terminal, ended };
  }

  it('goes on behind a buffer that is full when the server is back', async () => {
    const { terminal, ended } = open();
    terminal.input("stty -echo; PS1=; seq 200000; echo EN''D\n");
    await eventually(() => Promise.resolve(printed.includes('END\r\n')));
    await api.restart();
    address = api.url;
    terminal.input('echo BA""CK\n');
    const error = await Promise.race([ended, eventually(() => Promise.resolve(printed.includes('BACK\r\n')))]);
    expect([error, gaps]).toEqual([true, 0]);
    expect(printed.slice(printed.indexOf('END\r\n')).match(/\w+(?=\r\n)/g)).toEqual(['END', 'BACK']);
  });

  it('pastes once what was interrupted by the restart and is sent again', async () => {
    const text = Array.from({ length: 60_000 }, (_, index) => index).join(' ');
    const heard = ({ messages }: Talk): string =>
      messages.map(({ type, data }) => (type === 'output' ? String(data) : '')).join('');
    const open = (query = ''): Talk => talk(api.url, `/api/v1/ws/terminal/${environmentId}?token=${user.token}${query}`);
    const say = ({ socket }: Talk, message: object): void => socket.send(JSON.stringify(message));
    const first = open();
    const script = `cd; rm -f go; stty raw -echo; echo REA""DY; until [ -e go ]; do sleep 0.05; done; head -c ${text.length} | sha256sum; stty sane`;
    const { session_id: sessionId } = await eventually(() =>
      Promise.resolve(first.messages.find(({ type }) => type === 'welcome')),
    );
    say(first, { type: 'input', data: `${script}\n` });
    await eventually(() => Promise.resolve(heard(first).includes('READY')));
    say(first, { type: 'paste', id: 'long', data: text });
    // It is read in order: what is behind the paste has come, so the paste is under way.
    say(first, { type: 'ping', id: 'behind' });
    await eventually(() => Promise.resolve(first.messages.find(({ type }) => type === 'pong')));
    await api.restart();
    const second = open(`&session_id=${String(sessionId)}`);
    await eventually(() => Promise.resolve(second.messages.find(({ type }) => type === 'welcome')));
    say(second, { type: 'paste', id: 'long', data: text });
    const other = open();
    await eventually(() => Promise.resolve(other.messages.find(({ type }) => type === 'welcome')));
    say(other, { type: 'input', data: 'cd; touch go\n' });
    const done = await eventually(() => Promise.resolve(second.messages.find(({ type }) => type === 'paste_done')));
    expect(done).toEqual({ type: 'paste_done', id: 'long', bytes: text.length });
    say(second, { type: 'input', data: 'echo "<"AF""TER">"\n' });
    await eventually(() => Promise.resolve(heard(second).includes('<AFTER>')));
    expect(heard(second)).toContain(createHash('sha256').update(text).digest('hex'));
    for (const { socket } of [second, other]) socket.close();
    await Promise.all([second.over, other.over]);
  });

  it('takes a paste larger than every window, while its echo comes back', async () => {
    const { terminal } = open();
    const size = 6 * 1_048_576;
    terminal.input("stty raw -echo; PS1=; echo BE''GIN; head -c " + String(size) + "; stty sane; echo EN''D\n");
    await eventually(() => Promise.resolve(printed.includes('BEGIN')));
    terminal.input('0123456789abcde\n'.repeat(size / 16));
    await eventually(() => Promise.resolve(printed.includes('END')), 60_000);
    expect(printed.slice(printed.indexOf('BEGIN\n') + 6, printed.indexOf('END')).length).toBe(size);
  });
});
