import fc from 'fast-check';
import { cleanPaste, PASTE_BEGIN, PASTE_END } from './paste';

it.each([
  ['plain text', 'plain text'],
  ['a\nb\r\nc\rd', 'a\rb\rc\rd'],
  ['tab\there', 'tab\there'],
  [`one${PASTE_END}two`, 'onetwo'],
  ['one\u009b201~two', 'onetwo'],
  [`\x1b[20${PASTE_END}1~rm`, 'rm'],
  ['\x1b[2\u009b201~01~rm', 'rm'],
  [`${PASTE_END}${PASTE_END}`, ''],
  ['^C is \x03, ESC is \x1b, DEL is \x7f', '^C is  , ESC is  , DEL is  '],
  ['201~ and ~', '201~ and ~'],
  ['漢字 😀 é', '漢字 😀 é'],
])('makes %j %j', (data, expected) => {
  expect(cleanPaste(data)).toBe(expected);
});

const piece = fc.constantFrom('\x1b', '[', '2', '0', '1', '~', '\u009b', 'x', '\n', '\r', PASTE_END, PASTE_BEGIN);

it('lets no control character and no end marker through', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const cleaned = cleanPaste(pieces.join(''));
      expect(cleaned).not.toMatch(/[^\P{Cc}\t\r]/u);
      expect(cleaned).not.toContain(PASTE_END);
    }),
  );
});

it('takes a clipboard of nested markers in one pass', () => {
  const depth = 150_000;
  const started = performance.now();
  expect(cleanPaste('\x1b[20'.repeat(depth) + '1~'.repeat(depth))).toBe('');
  expect(performance.now() - started).toBeLessThan(2_000);
});
