import { isRecord, SUBPROTOCOLS, TerminalClient, type TerminalProtocol } from '@devpocket/client';
import { createHash } from 'node:crypto';
import {
  BadNetwork,
  type BadNetworkOptions,
  eventually,
  localDrivers,
  TestApi,
  type TestUser,
  witnessedSocket,
} from '../testing';

const CUTS = 50;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** In turns: each connection speaks another than the one before it. */
type Spoken = TerminalProtocol | 'in turns';

/** A client behind a network of its own, and what it was shown between BEGIN and END. */
class Participant {
  readonly ended: Promise<void>;
  readonly terminal: TerminalClient;
  gaps = 0;
  private readonly pieces: string[] = [];
  private tail = '';

  private constructor(
    url: string,
    private readonly network: BadNetwork | null,
    { environmentId, user, spoken, sessionId }: Joining,
  ) {
    let connections = 0;
    const openSocket = (address: string, protocols: string[]): ReturnType<typeof witnessedSocket> => {
      connections += 1;
      const offered =
        spoken === 'in turns' && connections % 2 === 0 ? protocols.filter((one) => one !== SUBPROTOCOLS.binary) : protocols;
      return witnessedSocket(address, offered);
    };
    let settle: (failure: string | null) => void = () => undefined;
    this.ended = new Promise((resolve, reject) => {
      settle = (failure) => (failure === null ? resolve() : reject(new Error(failure)));
    });
    this.terminal = new TerminalClient({
      url,
      openSocket,
      environmentId,
      protocol: spoken === 'json' ? 'json' : 'binary',
      token: () => Promise.resolve(user.token),
      cols: 200,
      rows: 50,
      backoff: () => 1,
      ...(sessionId === undefined ? {} : { sessionId }),
      onGap: () => (this.gaps += 1),
      onOutput: (data) => {
        this.pieces.push(data);
        this.tail = (this.tail + data).slice(-64);
        if (this.tail.includes('END\r\n')) this.terminal.close();
      },
      onEnd: ({ error, code }) => settle(code === 1000 && error === null ? null : `closed ${code} ${error ?? ''}`),
    });
    this.terminal.connect();
  }

  /** @param network null: straight to the server */
  static async join(server: string, network: BadNetworkOptions | null, joining: Joining): Promise<Participant> {
    const bad = network && new BadNetwork(Number(new URL(server).port), network);
    return new Participant(bad ? await bad.open() : server, bad, joining);
  }

  /** As lines end in a file. */
  get printed(): string {
    const output = this.pieces.join('');
    const from = output.indexOf('BEGIN\r\n') + 'BEGIN\r\n'.length;
    return output.slice(from, output.indexOf('END\r\n', from)).replaceAll('\r\n', '\n');
  }

  get begun(): boolean {
    return this.pieces.join('').includes('BEGIN\r\n');
  }

  get suffered(): readonly [cuts: number, gaps: number] {
    return [this.network?.cuts ?? 0, this.gaps];
  }

  leave(): void {
    this.terminal.close();
    this.network?.close();
  }
}

interface Joining {
  readonly environmentId: string;
  readonly user: TestUser;
  readonly spoken: Spoken;
  readonly sessionId?: string;
}

describe('a terminal whose connection is cut 50 times at random', () => {
  const api = new TestApi(localDrivers);
  const there: Participant[] = [];
  let user: TestUser;
  let environmentId: string;
  beforeAll(async () => {
    await api.start();
    user = await api.user('cutter');
    const created = await user.client.request('POST', '/environments', { name: 'cuts', template: 'ubuntu' });
    environmentId = isRecord(created) ? String(created.id) : '';
    await eventually(async () => (await user.client.environment(environmentId)).status === 'running');
  });
  afterEach(() => {
    for (const one of there.splice(0)) one.leave();
  });
  afterAll(() => api.close());

  async function join(spoken: Spoken, network: Partial<BadNetworkOptions> | null, sessionId?: string): Promise<Participant> {
    const options = network && { cuts: CUTS, bytesBetweenCuts: 40_000, ...network };
    const session = sessionId === undefined ? {} : { sessionId };
    const one = await Participant.join(api.url, options, { environmentId, user, spoken, ...session });
    there.push(one);
    return one;
  }

  /** Types a script whose output stands between BEGIN and END, spelt so that the echo of the command line does not contain them. */
  function begin({ terminal }: Participant, script: string): void {
    terminal.input(`stty -echo; PS1=; PS2=; echo BEG''IN; ${script}; echo EN''D\n`);
  }

  const numbers = (count: number): string => Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('');

  it.each(['json', 'binary'] as const)('gives every byte of seq 200000 once, in %s', async (spoken) => {
    const one = await join(spoken, {});
    begin(one, 'seq 200000');
    await one.ended;
    expect(sha256(one.printed)).toBe(sha256(numbers(200_000)));
    expect(one.suffered).toEqual([CUTS, 0]);
  });

  it('never splits a character of four bytes, in both in turns', async () => {
    const one = await join('in turns', { bytesBetweenCuts: 12_000 });
    begin(one, "yes '😀🚀𝒳' | head -n 40000");
    await one.ended;
    expect(sha256(one.printed)).toBe(sha256('😀🚀𝒳\n'.repeat(40_000)));
    expect(one.suffered).toEqual([CUTS, 0]);
  });

  it('takes 10 000 typed lines once each, in order, in both in turns', async () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index + 1}\n`).join('');
    const one = await join('in turns', { bytesBetweenCuts: 8_000 });
    begin(one, 'while read -r l; do [ "$l" = stop ] && break; echo "$l"; done');
    one.terminal.input(`${lines}stop\n`);
    await one.ended;
    expect(sha256(one.printed)).toBe(sha256(lines));
    expect(one.suffered).toEqual([CUTS, 0]);
  });

  it.each([
    ['the one whose size counts is slow', 1_000, undefined],
    ['the other is slow', undefined, 400],
  ])('shows two that are cut what one sees who is not: %s', async (_what, first, second) => {
    const one = await join('in turns', { ...(first === undefined ? {} : { bytesPerMs: first }) });
    await eventually(() => Promise.resolve(one.terminal.session !== null));
    const session = one.terminal.session ?? '';
    const other = await join('in turns', { ...(second === undefined ? {} : { bytesPerMs: second }) }, session);
    const witness = await join('binary', null, session);
    await eventually(() => Promise.resolve([other, witness].every(({ terminal }) => terminal.session !== null)));
    // Less than what is kept: who does not slow the shell may be behind by all of it.
    begin(one, 'seq 120000');
    await Promise.all(there.map(({ ended }) => ended));
    const due = sha256(numbers(120_000));
    expect(there.map(({ printed }) => sha256(printed))).toEqual([due, due, due]);
    expect(there.map(({ suffered }) => suffered)).toEqual([
      [expect.any(Number), 0],
      [expect.any(Number), 0],
      [0, 0],
    ]);
    expect(one.suffered[0]).toBeGreaterThanOrEqual(20);
    expect(other.suffered[0]).toBeGreaterThanOrEqual(20);
  });

  it('takes what two type, who are cut, once each and in the order of each', async () => {
    const COUNT = 4_000;
    const one = await join('in turns', { bytesBetweenCuts: 3_000 });
    await eventually(() => Promise.resolve(one.terminal.session !== null));
    const session = one.terminal.session ?? '';
    const other = await join('in turns', { bytesBetweenCuts: 3_000, bytesPerMs: 200 }, session);
    const witness = await join('json', null, session);
    await eventually(() => Promise.resolve([other, witness].every(({ terminal }) => terminal.session !== null)));
    begin(one, 'n=0; while read -r l; do [ "$l" = stop ] && n=$((n+1)) || echo "$l"; [ "$n" = 2 ] && break; done');
    await eventually(() => Promise.resolve(witness.begun));
    for (let n = 1; n <= COUNT; n += 1) for (const [at, { terminal }] of [one, other].entries()) terminal.input(`${at} ${n}\n`);
    for (const { terminal } of [one, other]) terminal.input('stop\n');
    await Promise.all(there.map(({ ended }) => ended));
    const [first = '', ...rest] = there.map(({ printed }) => printed);
    expect(rest.map(sha256)).toEqual([sha256(first), sha256(first)]);
    for (const at of [0, 1]) {
      const typed = first.split('\n').filter((line) => line.startsWith(`${at} `));
      expect(typed).toEqual(Array.from({ length: COUNT }, (_, index) => `${at} ${index + 1}`));
    }
    expect(there.map(({ suffered }) => suffered)).toEqual([
      [CUTS, 0],
      [CUTS, 0],
      [0, 0],
    ]);
  });
});
