import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogReader, LogWriter, MOST_LINE_BYTES } from './log-file';

describe('a log on disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-log-'));
  let count = 0;
  const file = (): string => join(folder, String((count += 1)));
  const fail = (error: unknown): never => {
    throw error;
  };
  afterAll(() => rmSync(folder, { recursive: true }));

  async function news(reader: LogReader): Promise<string[]> {
    const messages: string[] = [];
    for await (const slice of reader.news()) messages.push(...slice.map(({ message }) => message));
    return messages;
  }

  it('is read on where reading stopped, each line once, whatever is written or rotated in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.string({ unit: 'grapheme', maxLength: 9 }), { maxLength: 40 })), async (rounds) => {
        const path = file();
        const writer = new LogWriter(path, fail, 4_096);
        const reader = new LogReader(path);
        const heard: string[] = [];
        for (const round of rounds) {
          for (const text of round) writer.append('container', 'info', 1, text);
          heard.push(...(await news(reader)));
        }
        expect(heard).toEqual(rounds.flat());
        expect(await news(reader)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it('lets others go on while it is read', async () => {
    const path = file();
    const writer = new LogWriter(path, fail);
    for (let line = 0; line < 20_000; line += 1) writer.append('container', 'info', 1, `line ${line}`);
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      next = setImmediate(turn);
    };
    let next = setImmediate(turn);
    expect((await news(new LogReader(path))).length).toBe(20_000);
    clearImmediate(next);
    expect(turns).toBeGreaterThan(10);
  });

  it('goes on numbering where it stopped, behind a line that a crash cut', async () => {
    const path = file();
    new LogWriter(path, fail).append('system', 'info', 1, 'x'.repeat(2 * MOST_LINE_BYTES));
    new LogWriter(path, fail).append('system', 'info', 1, 'second');
    const reader = new LogReader(path);
    const lines = [];
    for await (const slice of reader.news()) lines.push(...slice);
    expect(lines.map(({ number, truncated }) => [number, truncated])).toEqual([
      [1, true],
      [2, false],
    ]);
    expect(reader.last).toBe(2);
  });
});
