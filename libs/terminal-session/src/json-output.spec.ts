import fc from 'fast-check';
import { jsonOutput } from './json-output';

/** As it goes over the wire. */
const messageOf = (bytes: Uint8Array, seq: number): string =>
  Buffer.from(jsonOutput(Buffer.from(bytes), seq).join(''), 'latin1').toString('utf8');

describe('an output message in JSON', () => {
  it('says what the serializer would say, for any bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.string({ unit: 'binary', maxLength: 200 }).map((text) => new TextEncoder().encode(text)),
          fc.constantFrom('\x1b[1;31m"\\\r\n', 'ö漢😀\u2028', '\x00\x7f\b\f\t').map((text) => new TextEncoder().encode(text)),
        ),
        fc.nat(),
        (bytes, seq) => {
          expect(messageOf(bytes, seq)).toBe(JSON.stringify({ type: 'output', data: Buffer.from(bytes).toString('utf8'), seq }));
        },
      ),
      { numRuns: 500 },
    );
  });
});
