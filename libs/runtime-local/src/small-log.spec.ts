import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepSmall } from './small-log';

it('a log stays below twice its limit, and its last lines are there', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-log-'));
  const file = join(folder, 'host.log');
  const fd = openSync(file, 'a', 0o600);
  for (let line = 0; line < 1_000; line += 1) {
    keepSmall(file, fd, 1_000);
    writeSync(fd, `line ${line}\n`);
  }
  closeSync(fd);
  const [last, before] = [readFileSync(file, 'utf8'), readFileSync(`${file}.1`, 'utf8')];
  expect(readdirSync(folder)).toEqual(['host.log', 'host.log.1']);
  expect(Math.max(last.length, before.length)).toBeLessThan(1_100);
  const lines = (before + last).trim().split('\n');
  expect(lines.at(-1)).toBe('line 999');
  expect(lines).toEqual(lines.map((_, at) => `line ${1_000 - lines.length + at}`));
  keepSmall(join(folder, 'absent'), 0, 0);
  rmSync(folder, { recursive: true });
});
