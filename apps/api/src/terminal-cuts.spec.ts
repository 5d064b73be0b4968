import { isRecord, TerminalClient } from '@devpocket/client';
import { createHash } from 'node:crypto';
import { eventually, localDriver, TestApi, type TestUser } from '../testing';

const CUTS = 50;
const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');

/** Runs `script` in a terminal whose connection is cut at `cuts` random positions, and returns all that was received. */
async function runWithCuts(
  api: TestApi,
  user: TestUser,
  environmentId: string,
  script: string,
  end: string,
  cuts: number,
  typed?: string,
): Promise<{ output: string; dropped: number; gaps: number }> {
  let output = '';
  let dropped = 0;
  let gaps = 0;
  let nextCut = 0;
  await new Promise<void>((resolve, reject) => {
    const terminal = new TerminalClient({
      url: api.url,
      environmentId,
      token: () => Promise.resolve(user.token),
      cols: 200,
      rows: 50,
      backoff: () => 1,
      onGap: () => (gaps += 1),
      onOutput: (data) => {
        output += data;
        if (dropped < cuts && output.length >= nextCut) {
          nextCut = output.length + 1 + Math.floor(Math.random() * 40_000);
          dropped += 1;
          terminal.drop();
          return;
        }
        if (output.includes(end)) terminal.close();
      },
      onEnd: ({ error, code }) =>
        code === 1000 && error === null ? resolve() : reject(new Error(`closed ${code} ${error ?? ''}`)),
    });
    terminal.connect();
    terminal.input(script);
    if (typed !== undefined) terminal.input(typed);
  });
  return { output, dropped, gaps };
}

/** The lines between the markers, without the terminal's carriage returns. */
function between(output: string, begin: string, end: string): string {
  const from = output.indexOf(`${begin}\r\n`);
  return output.slice(from + begin.length + 2, output.indexOf(end, from)).replaceAll('\r\n', '\n');
}

describe('a terminal whose connection is cut 50 times at random', () => {
  const api = new TestApi((dataDir) => [localDriver(dataDir)]);
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

  // The markers are spelt so that the echo of the command line does not contain them.
  const quiet = `stty -echo; PS1=; PS2=; `;

  it('gives every byte of seq 200000 once', async () => {
    const { output, dropped, gaps } = await runWithCuts(
      api,
      user,
      environmentId,
      `${quiet}echo BEG''IN; seq 200000; echo EN''D\n`,
      'END\r\n',
      CUTS,
    );
    expect(sha256(between(output, 'BEGIN', 'END\r\n'))).toBe(
      sha256(Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('')),
    );
    expect([dropped, gaps]).toEqual([CUTS, 0]);
  });

  it('never splits a character of four bytes', async () => {
    const script = `${quiet}echo BEG''IN; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "$i 😀🚀𝒳"; done; echo EN''D\n`;
    const { output, dropped, gaps } = await runWithCuts(api, user, environmentId, script, 'END\r\n', CUTS);
    expect(sha256(between(output, 'BEGIN', 'END\r\n'))).toBe(
      sha256(Array.from({ length: 20_000 }, (_, index) => `${index + 1} 😀🚀𝒳\n`).join('')),
    );
    expect([dropped, gaps]).toEqual([CUTS, 0]);
  });

  it('takes 10 000 typed lines once each, in order', async () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index + 1}\n`).join('');
    const script = `${quiet}echo BEG''IN; while read -r l; do [ "$l" = stop ] && break; echo "$l"; done; echo EN''D\n`;
    const { output, dropped, gaps } = await runWithCuts(api, user, environmentId, script, 'END\r\n', CUTS, `${lines}stop\n`);
    expect(sha256(between(output, 'BEGIN', 'END\r\n'))).toBe(sha256(lines));
    expect([dropped, gaps]).toEqual([CUTS, 0]);
  });
});
