import * as fc from 'fast-check';
import { Gather, PIECE_BYTES } from './gather';

const AT_ONCE = 16_384;

describe('gathered output', () => {
  it('goes at once while it is little, then by the piece or within 4 ms', () => {
    const gather = new Gather();
    expect(gather.wait(1, 1_000)).toBe(0);
    gather.sent(AT_ONCE, 1_000);
    expect(gather.wait(1, 1_000)).toBe(0);
    gather.sent(AT_ONCE / 2, 1_000);
    expect(gather.wait(1, 1_000)).toBe(2);
    expect(gather.wait(PIECE_BYTES - 1, 1_001)).toBe(1);
    expect(gather.wait(PIECE_BYTES, 1_001)).toBe(0);
    expect(gather.wait(1, 1_002)).toBe(0);
  });

  it('has no small piece in a flood, and never waits longer than 4 ms', () => {
    const chunks = fc.record({ bytes: fc.integer({ min: 1, max: 16_384 }), ms: fc.double({ min: 0, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(chunks, { minLength: 50, maxLength: 400 }), (arrivals) => {
        const gather = new Gather();
        const pieces: number[] = [];
        let [now, pending, due, since] = [0, 0, Infinity, 0];
        const flush = (): void => {
          const wait = pending === 0 ? Infinity : gather.wait(pending, now);
          due = now + wait;
          if (wait > 0) return;
          // Asked again by each that arrives, it may be rounded up once more.
          expect(now - since).toBeLessThanOrEqual(5);
          pieces.push(pending);
          gather.sent(pending, now);
          [pending, due] = [0, Infinity];
        };
        for (const { bytes, ms } of arrivals) {
          for (const next = now + ms; now < next;) {
            now = Math.min(next, due);
            if (now === due) flush();
          }
          if (pending === 0) since = now;
          pending += bytes;
          flush();
        }
        // On average as much as goes at once in 4 ms, a piece of its own for the rest.
        const small = pieces.filter((piece) => piece < AT_ONCE).reduce((sum, piece) => sum + piece, 0);
        const rounded = 2 * pieces.length;
        expect(small).toBeLessThanOrEqual(2 * AT_ONCE + (now * AT_ONCE) / 4 + rounded);
      }),
    );
  });

  it('comes as large pieces when a flood goes on', () => {
    const gather = new Gather();
    const pieces: number[] = [];
    let pending = 0;
    // 64 MiB a second, as 4 KiB every 1/16 ms.
    for (let at = 0; at < 1_000; at += 1) {
      pending += 4_096;
      if (gather.wait(pending, at / 16) > 0) continue;
      pieces.push(pending);
      gather.sent(pending, at / 16);
      pending = 0;
    }
    expect(pieces.slice(8).every((piece) => piece === PIECE_BYTES)).toBe(true);
  });

  it('is not held up by a clock that was set back', () => {
    const gather = new Gather();
    gather.sent(4 * AT_ONCE, 1_000_000);
    expect(gather.wait(1, 0)).toBe(0);
  });
});
