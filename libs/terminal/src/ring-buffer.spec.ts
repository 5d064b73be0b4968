import fc from 'fast-check';
import { RingBuffer } from './ring-buffer';
import { incompleteTail, orphanedHead } from './utf8';

describe('a ring', () => {
  it('keeps the last bytes under their positions, for any sequence of chunks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 })),
        fc.integer({ min: 1, max: 100 }),
        fc.nat(1000),
        (chunks, capacity, start) => {
          const ring = new RingBuffer(capacity, start);
          let all = Buffer.alloc(0);
          for (const chunk of chunks) {
            ring.append(Buffer.from(chunk));
            all = Buffer.concat([all, chunk]);
            expect(ring.end).toBe(start + all.length);
            expect(ring.end - ring.start).toBe(Math.min(capacity, all.length));
            expect(ring.slice(ring.start, Infinity)).toEqual(all.subarray(ring.start - start));
          }
        },
      ),
    );
  });

  it('gives any slice of what it keeps', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { minLength: 1 }),
        fc.nat(200),
        fc.nat(50),
        (chunks, from, most) => {
          const ring = new RingBuffer(1_000_000);
          for (const chunk of chunks) ring.append(Buffer.from(chunk));
          const all = Buffer.concat(chunks);
          expect(ring.slice(from, most)).toEqual(all.subarray(from, from + most));
        },
      ),
    );
  });
});

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
