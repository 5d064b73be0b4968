import { levelOf, withoutSecrets } from './logging.module';

describe('the level of an answer in a log', () => {
  it('is an error for what is our fault alone', () => {
    expect([200, 404, 429, 500, 502, 503].map((status) => levelOf(status))).toEqual([
      'info',
      'info',
      'info',
      'error',
      'error',
      'warn',
    ]);
    // An answer that broke on its way.
    expect(levelOf(200, new Error('broken'))).toBe('error');
  });
});

describe('a URL in a log', () => {
  it.each([
    ['/ws/terminal/1?ticket=abc', '/ws/terminal/1?ticket=[redacted]'],
    ['/ws/terminal/1?cols=80&token=a.b.c&rows=24', '/ws/terminal/1?cols=80&token=[redacted]&rows=24'],
    ['/x?%74oken=abc&tick%65t=d', '/x?token=[redacted]&ticket=[redacted]'],
    ['/x?TOKEN=abc', '/x?TOKEN=[redacted]'],
    ['/x?a=token=b', '/x?a=token=b'],
    ['/x?%zz=1&token=%zz', '/x?%zz=1&token=[redacted]'],
    ['/x', '/x'],
  ])('%s is %s', (url, told) => {
    expect(withoutSecrets(url)).toBe(told);
  });

  it.each(['?', '&', '%', '?token'])('is read in no time, also when it is 16 KiB of %s', (text) => {
    const url = `/${text.repeat(16_384 / text.length)}`;
    withoutSecrets(url);
    const before = process.threadCpuUsage();
    withoutSecrets(url);
    expect(process.threadCpuUsage(before).user).toBeLessThan(20_000);
  });
});
