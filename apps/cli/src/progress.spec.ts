import { PassThrough } from 'node:stream';
import { type OutputOptions } from './output';
import { progressBar } from './progress';

/** What a bar writes to such a stream. */
function shown(isTTY: boolean, options: OutputOptions): string {
  let text = '';
  const write = (chunk: string): boolean => ((text += chunk), true);
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 80, write });
  const cursor = { clearLine: () => true, cursorTo: () => true, moveCursor: () => true };
  const bar = progressBar('Documents', options, Object.assign(stream, cursor) as unknown as NodeJS.WriteStream);
  bar.update(1, 4);
  bar.update(4, 4);
  bar.stop();
  return text;
}

it('a bar is for a person at a terminal, and never beside JSON', () => {
  expect(shown(true, {})).toMatch(/Documents .*4/s);
  expect(shown(false, {})).toBe('');
  expect(shown(true, { json: true })).toBe('');
});
