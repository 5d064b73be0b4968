import { isRecord, TerminalClient } from '@devpocket/client';
import { createHash } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { eventually, localDrivers, TestApi, type TestUser, witnessedSocket } from '../testing';

const CUTS = 50;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A bad network: each of the first connections is cut after a random number of bytes in either direction, in the middle of anything. */
class BadNetwork {
  cuts = 0;
  private readonly server: Server;

  constructor(
    private readonly target: number,
    private readonly bytesBetweenCuts: number,
  ) {
    this.server = createServer((client) => {
      const upstream = connect(this.target, '127.0.0.1');
      let left = this.cuts < CUTS ? 1_000 + Math.random() * this.bytesBetweenCuts : Infinity;
      const pass = (from: typeof client, to: typeof client): void => {
        from.on('data', (chunk: Buffer) => {
          left -= chunk.length;
          if (left > 0) {
            to.write(chunk);
            return;
          }
          to.write(chunk.subarray(0, Math.max(0, chunk.length + left)));
          if (left > -Infinity) this.cuts += 1;
          left = -Infinity;
          client.destroy();
          upstream.destroy();
        });
        from.on('error', () => to.destroy()).on('close', () => to.destroy());
      };
      pass(client, upstream);
      pass(upstream, client);
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
  }
}

describe('a terminal whose connection is cut 50 times at random', () => {
  const api = new TestApi(localDrivers);
  let user: TestUser;
  let environmentId: string;
  beforeAll(async () => {
    await api.start();
    user = await api.user('cutter');
    const created = await user.client.request('POST', '/environments', { name: 'cuts', template: 'ubuntu' });
    environmentId = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(environmentId)).status === 'running');
  });
  afterAll(() => api.close());

  /** Types `script`, then `typed`, and returns what was printed between BEGIN and END, as lines end in a file. */
  async function run(
    script: string,
    bytesBetweenCuts: number,
    typed = '',
  ): Promise<{ printed: string; cuts: number; gaps: number }> {
    const network = new BadNetwork(Number(new URL(api.url).port), bytesBetweenCuts);
    const url = await network.open();
    const pieces: string[] = [];
    let tail = '';
    let gaps = 0;
    try {
      await new Promise<void>((resolve, reject) => {
        const terminal = new TerminalClient({
          url,
          openSocket: witnessedSocket,
          environmentId,
          token: () => Promise.resolve(user.token),
          cols: 200,
          rows: 50,
          backoff: () => 1,
          onGap: () => (gaps += 1),
          onOutput: (data) => {
            pieces.push(data);
            tail = (tail + data).slice(-64);
            if (tail.includes('END\r\n')) terminal.close();
          },
          onEnd: ({ error, code }) =>
            code === 1000 && error === null ? resolve() : reject(new Error(`closed ${code} ${error ?? ''}`)),
        });
        terminal.connect();
        // The markers are spelt so that the echo of the command line does not contain them.
        terminal.input(`stty -echo; PS1=; PS2=; echo BEG''IN; ${script}; echo EN''D\n`);
        terminal.input(typed);
      });
    } finally {
      network.close();
    }
    const output = pieces.join('');
    const from = output.indexOf('BEGIN\r\n') + 'BEGIN\r\n'.length;
    return { printed: output.slice(from, output.indexOf('END\r\n', from)).replaceAll('\r\n', '\n'), cuts: network.cuts, gaps };
  }

  it('gives every byte of seq 200000 once', async () => {
    const { printed, cuts, gaps } = await run('seq 200000', 40_000);
    expect(sha256(printed)).toBe(sha256(Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('')));
    expect([cuts, gaps]).toEqual([CUTS, 0]);
  });

  it('never splits a character of four bytes', async () => {
    const { printed, cuts, gaps } = await run("yes '😀🚀𝒳' | head -n 40000", 12_000);
    expect(sha256(printed)).toBe(sha256('😀🚀𝒳\n'.repeat(40_000)));
    expect([cuts, gaps]).toEqual([CUTS, 0]);
  });

  it('takes 10 000 typed lines once each, in order', async () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index + 1}\n`).join('');
    const script = 'while read -r l; do [ "$l" = stop ] && break; echo "$l"; done';
    const { printed, cuts, gaps } = await run(script, 8_000, `${lines}stop\n`);
    expect(sha256(printed)).toBe(sha256(lines));
    expect([cuts, gaps]).toEqual([CUTS, 0]);
  });
});
