import fc from 'fast-check';
import { incompleteTail, orphanedHead } from './utf8';

describe('characters', () => {
  it('are never split, wherever a text is cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(), (text, seed) => {
        const bytes = Buffer.from(text);
        const cut = bytes.length === 0 ? 0 : seed % (bytes.length + 1);
        const head = bytes.subarray(0, cut);
        const at = cut - incompleteTail(head);
        expect(bytes.subarray(0, at).toString() + bytes.subarray(at).toString()).toBe(bytes.toString());
        expect(bytes.subarray(0, at).toString()).not.toMatch(text.includes('\ufffd') ? /$^/ : /\ufffd$/);
      }),
    );
  });

  it.each([
    [[0x41], 0, 0],
    [[0xf0, 0x9f, 0x98], 3, 0],
    [[0xe2, 0x82], 2, 0],
    [[0xc3], 1, 0],
    [[0xf0, 0x9f, 0x98, 0x80], 0, 0],
    [[0x80, 0x80, 0x41], 0, 2],
    [[0xff], 0, 0],
    [[0xc0], 0, 0],
    [[0x80, 0x80, 0x80, 0x80], 0, 3],
  ])('of the bytes %p miss %i at the end and %i at the beginning', (bytes, tail, head) => {
    expect(incompleteTail(Buffer.from(bytes))).toBe(tail);
    expect(orphanedHead(Buffer.from(bytes))).toBe(head);
  });
});
