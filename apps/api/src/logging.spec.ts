import { withoutSecrets } from './logging.module';

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
});
