import fc from 'fast-check';
import { SkippedOutput } from './skipped-output';

describe('output that was skipped', () => {
  it('leaves between any two positions what was sent between them', () => {
    const step = fc.record({
      sent: fc.nat(1_000),
      skipped: fc.nat(10_000),
      delivered: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(1_000), (steps, last) => {
        const output = new SkippedOutput();
        // Positions that the client knows, with how much it had been sent by then.
        const known = [{ seq: 0, count: 0 }];
        let [position, count] = [0, 0];
        let delivered = 0;
        const send = (bytes: number): void => {
          position += bytes;
          count += bytes;
          known.push({ seq: position, count });
        };
        for (const { sent, skipped, delivered: part } of steps) {
          send(sent);
          const heard = Math.max(delivered, Math.floor(count * part));
          if (skipped > 0) output.add(position, position + skipped, position - (count - heard));
          delivered = heard;
          position += skipped;
        }
        send(last);
        for (const { seq, count: before } of known) {
          if (before > delivered) expect(output.moved(seq)).toBe(position - (count - before));
          else expect(output.moved(seq)).toBeLessThanOrEqual(position - (count - delivered));
        }
      }),
    );
  });
});
