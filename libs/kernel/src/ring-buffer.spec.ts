import fc from 'fast-check';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RingBuffer } from './ring-buffer';

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

  it('costs about what it keeps, however small the chunks', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = (): number => {
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const capacity = 262_144;
    const ring = new RingBuffer(capacity, 1_001);
    const before = used();
    for (let index = 0; index < 2 * capacity; index += 1) {
      ring.append(Buffer.from([index & 255]));
      if (index === 100_000)
        expect(ring.slice(1_001, 100_000)).toEqual(Buffer.from(Array.from({ length: 100_000 }, (_, at) => at & 255)));
    }
    expect(used() - before).toBeLessThan(4 * capacity);
    expect(ring.slice(ring.start, Infinity)).toEqual(Buffer.from(Array.from({ length: capacity }, (_, at) => at & 255)));
  });

  it('leaves what it has handed out alone', () => {
    const ring = new RingBuffer(4);
    ring.append(Buffer.from('abcd'));
    const slice = ring.slice(0, 4);
    ring.append(Buffer.from('efgh'));
    expect(slice.toString()).toBe('abcd');
  });
});
