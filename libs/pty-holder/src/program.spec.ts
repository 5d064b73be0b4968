import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BINARIES, SOURCE } from './binaries';
import { programFor } from './entry';

describe('the binaries', () => {
  const folder = join(__dirname, '../program');
  const text = ['linux.h', 'pty-holder.c'].map((file) => readFileSync(join(folder, file)));

  // ELF(5): e_machine, at 18, is 62 for x86-64 and 183 for 64-bit ARM.
  it.each([
    ['x86_64', 62],
    ['aarch64', 183],
  ])('for %s is made of the text beside it', (machine, number) => {
    const program = Buffer.from(BINARIES[machine] ?? '', 'base64');
    expect(program.toString('latin1', 1, 4)).toBe('ELF');
    expect(program.readUInt16LE(18)).toBe(number);
    const sum = createHash('sha256').update(Buffer.concat(text)).digest('hex').slice(0, 32);
    expect(SOURCE).toBe(sum);
    expect(program.includes(`source ${sum}`)).toBe(true);
    expect(programFor(machine)?.toString('latin1', 0, 9)).toMatch(new RegExp(`^${program.length}\n`));
  });
});
