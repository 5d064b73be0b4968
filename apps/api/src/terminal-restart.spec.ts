import { isRecord, TerminalClient } from '@devpocket/client';
import { eventually, localDrivers, TestApi, type TestUser, witnessedSocket } from '../testing';

describe('a terminal on real shells', () => {
  const api = new TestApi(localDrivers);
  let user: TestUser;
  let environmentId: string;
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
    let end: (error: string | null) => void = () => undefined;
    const ended = new Promise<string | null>((resolve) => (end = resolve));
    terminal = new TerminalClient({
      // The address is asked for again at each connection: a restarted server listens on another port.
      url: 'http://server',
      openSocket: (url, protocols) => witnessedSocket(url.replace('ws://server', api.url.replace('http', 'ws')), protocols),
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
    terminal.input('echo BA""CK\n');
    const error = await Promise.race([ended, eventually(() => Promise.resolve(printed.includes('BACK\r\n')))]);
    expect([error, gaps]).toEqual([true, 0]);
    expect(printed.slice(printed.indexOf('END\r\n')).match(/\w+(?=\r\n)/g)).toEqual(['END', 'BACK']);
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
