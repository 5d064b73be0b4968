import fc from 'fast-check';
import { imageAllowed } from './environment.policy';

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
const asExpression = (pattern: string): RegExp => new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`);

describe('an image', () => {
  it.each([
    ['docker.io/library/node:26', 'docker.io/library/*', true],
    ['docker.io/library/node:26', '*', true],
    ['docker.io/library/node:26', 'docker.io/library/node', false],
    ['evil.example/docker.io/library/node', 'docker.io/library/*', false],
    ['docker.io/library/node\nevil', 'docker.io/library/*', false],
    ['aba', 'ab*ba', false],
    ['a.b', 'a?b', false],
  ])('%j is allowed by %s: %s', (image, pattern, allowed) => {
    expect(imageAllowed(image, [pattern])).toBe(allowed);
  });

  it('is none where nothing is allowed', () => expect(imageAllowed('node', [])).toBe(false));

  it('is allowed as a regular expression would have it', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '.', '/'), { maxLength: 12 }).map((all) => all.join(''));
    const globs = fc.array(fc.constantFrom('a', 'b', '.', '/', '*', '*'), { maxLength: 8 }).map((all) => all.join(''));
    fc.assert(
      fc.property(letters, globs, (image, pattern) => imageAllowed(image, [pattern]) === asExpression(pattern).test(image)),
      { numRuns: 3_000 },
    );
  });

  it('keeps nobody busy, however many stars a pattern has', () => {
    const before = process.threadCpuUsage();
    expect(imageAllowed('/'.repeat(500), ['*/*/*/*/*/*/*/*x'])).toBe(false);
    expect(process.threadCpuUsage(before).user).toBeLessThan(20_000);
  });
});
