import { isRecord } from '@devpocket/client';
import { eventually, localDrivers, type Talk, talk, TestApi, type TestUser } from '../testing';

const control = (message: object): Buffer => Buffer.from(`\u0002${JSON.stringify(message)}`);

/** @param seq 0: not numbered */
function input(text: string, seq: number): Buffer {
  const head = Buffer.alloc(7);
  head.writeUIntBE(seq, 1, 6);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe('the binary subprotocol', () => {
  const api = new TestApi(localDrivers);
  let user: TestUser;
  let id: string;
  const open: Talk[] = [];
  beforeAll(async () => {
    await api.start();
    user = await api.user('bits');
    const created = await user.client.request('POST', '/environments', { name: 'one', template: 'ubuntu' });
    id = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(id)).status === 'running');
  });
  afterEach(() => {
    for (const { socket } of open.splice(0)) socket.terminate();
  });
  afterAll(() => api.close());

  async function connect(protocol: string, query = ''): Promise<{ shell: Talk; welcome: Record<string, unknown> }> {
    const offered = [protocol, `bearer.${user.token}`];
    const shell = talk(api.url, `/api/v1/ws/terminal/${id}?cols=80&rows=24${query}`, offered);
    open.push(shell);
    const welcome = await said(shell, 'welcome');
    expect(shell.socket.protocol).toBe(protocol);
    return { shell, welcome };
  }
  const said = (shell: Talk, type: string, seq?: number): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(shell.messages.find((one) => one.type === type && (seq === undefined || one.seq === seq))));
  const printed = (shell: Talk): Buffer =>
    Buffer.concat(
      shell.messages
        .filter(({ type }) => type === 'output')
        .map(({ data }) => (Buffer.isBuffer(data) ? data : Buffer.from(String(data)))),
    );
  const prints = (shell: Talk, bytes: Buffer | string): Promise<boolean> =>
    eventually(() => Promise.resolve(printed(shell).includes(bytes)));

  it('brings bytes as the shell printed them, with the position behind each', async () => {
    const { shell, welcome } = await connect('devpocket.v1.binary');
    shell.socket.send(input("printf 'b\\377\\376\\342\\202e\\n'\n", 0));
    await prints(shell, Buffer.from([0x62, 0xff, 0xfe, 0xe2, 0x82, 0x65, 0x0d, 0x0a]));
    let at = Number(welcome.seq);
    for (const { type, data, seq } of shell.messages) {
      if (type !== 'output') continue;
      at += (data as Buffer).length;
      expect(seq).toBe(at);
    }
  });

  it('takes control messages in frames of their own and as text, and answers in frames', async () => {
    const { shell } = await connect('devpocket.v1.binary');
    shell.socket.send(control({ type: 'ping', id: 'framed' }));
    shell.socket.send(JSON.stringify({ type: 'ping', id: 'text' }));
    await eventually(() => Promise.resolve(shell.messages.filter(({ type }) => type === 'pong').length === 2));
    shell.socket.send(Buffer.from([9]));
    expect(await said(shell, 'error')).toMatchObject({ code: 'unknown_type' });
  });

  it('goes on in JSON where it was, and back, and types nothing twice', async () => {
    const { shell, welcome } = await connect('devpocket.v1.binary', '&client_id=phone');
    const line = 'echo on""ce\n';
    shell.socket.send(input(line, line.length));
    await said(shell, 'input_ack', line.length);
    await prints(shell, 'once\r\n');
    const before = printed(shell);
    shell.socket.terminate();
    const session = `&session_id=${String(welcome.session_id)}&client_id=phone`;
    const json = await connect('devpocket.v1.json', `${session}&after=${before.length}`);
    expect(json.welcome).toMatchObject({ resumed: true, gap: 0, seq: before.length, input_seq: line.length });
    json.shell.socket.send(JSON.stringify({ type: 'input', data: line, seq: line.length }));
    await said(json.shell, 'input_ack', line.length);
    const next = 'echo en""d\n';
    json.shell.socket.send(JSON.stringify({ type: 'input', data: next, seq: line.length + next.length }));
    await prints(json.shell, 'end\r\n');
    const after = printed(json.shell);
    json.shell.socket.terminate();
    const again = await connect('devpocket.v1.binary', session);
    const whole = Buffer.concat([before, after]);
    await eventually(() => Promise.resolve(printed(again.shell).length >= whole.length));
    expect(printed(again.shell).subarray(0, whole.length).toString('hex')).toBe(whole.toString('hex'));
    expect(whole.toString().match(/^once\r$/gm)).toHaveLength(1);
  });
});
