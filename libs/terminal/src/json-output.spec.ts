import fc from 'fast-check';
import { jsonOutput } from './json-output';

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
          const frame = jsonOutput(Buffer.from(bytes), seq);
          expect(frame.toString('utf8')).toBe(JSON.stringify({ type: 'output', data: Buffer.from(bytes).toString('utf8'), seq }));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is made whole also when the one before was larger', () => {
    jsonOutput(Buffer.alloc(100_000, 1), 100_003);
    expect(JSON.parse(jsonOutput(Buffer.from('one'), 3).toString())).toEqual({ type: 'output', data: 'one', seq: 3 });
  });
});
