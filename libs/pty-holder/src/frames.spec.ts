import fc from 'fast-check';
import { FrameReader, type HolderFrame } from './frames';

/** Output in pieces says no more than output at once. */
function joined(frames: readonly HolderFrame[]): unknown[] {
  const all: unknown[] = [];
  let output = '';
  for (const frame of frames) {
    if (frame.type === 'output') output += frame.bytes.toString('hex');
    else all.push(output, frame);
    if (frame.type !== 'output') output = '';
  }
  return [...all, output];
}

describe('frames of a holder', () => {
  const body = (letter: string, bytes: Uint8Array): Buffer => {
    const head = Buffer.alloc(5, letter);
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };
  const count = (value: number | bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  };
  const frames = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => body('o', bytes)),
      fc.nat().map((at) => body('a', count(at))),
      fc.uint8Array({ minLength: 10, maxLength: 10 }).map((bytes) => body('x', bytes)),
      fc.constant(body('r', new Uint8Array())),
    ),
  );

  it('are the same wherever the chunks end', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(400)), (sent, cuts) => {
        const all = Buffer.concat(sent);
        const whole = joined([...new FrameReader().push(all)]);
        const reader = new FrameReader();
        const read: HolderFrame[] = [];
        let at = 0;
        for (const cut of [...cuts, all.length]) {
          read.push(...reader.push(all.subarray(at, at + cut)));
          at += cut;
        }
        expect(joined(read)).toEqual(whole);
      }),
    );
  });

  it('fail to be read for one reason only, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          for (const frame of new FrameReader().push(Buffer.from(bytes))) expect(frame.type).toEqual(expect.any(String));
        } catch (error) {
          expect((error as Error).constructor.name).toBe('BadFrameError');
        }
      }),
    );
    expect(() => [...new FrameReader().push(Buffer.from('hallo'))]).toThrow(/too long/);
    expect(() => [...new FrameReader().push(body('h', new Uint8Array(3).fill(1)))]).toThrow(/not readable/);
    expect(() => [...new FrameReader().push(body('h', new Uint8Array(60).fill(2)))]).toThrow(/another version/);
    expect(() => [...new FrameReader().push(Buffer.from('a\0\0\x20\x01'))]).toThrow(/too long/);
  });

  it('have no numbers that a shell does not reach, and none that contradict each other', () => {
    const hello = (...numbers: (number | bigint)[]): HolderFrame[] => {
      const words = Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 9]), ...numbers.map(count), Buffer.from([0, 80, 0, 24, 0, 0])]);
      return [...new FrameReader().push(body('h', words))];
    };
    expect(hello(1, 2, 3, 5, 4, 6)).toMatchObject([
      { hello: { from: 2, position: 3, accepted: 5, taken: 4, ring: 6, cols: 80 } },
    ]);
    for (let at = 0; at < 6; at += 1) expect(() => hello(...[1, 2, 3, 5, 4, 6].with(at, 2 ** 53))).toThrow(/too high/);
    expect(() => hello(1, 4, 3, 5, 4, 6)).toThrow(/contradicts/);
    expect(() => hello(1, 2, 3, 4, 5, 6)).toThrow(/contradicts/);
    expect(() => [...new FrameReader().push(body('a', count(2n ** 64n - 1n)))]).toThrow(/too high/);
  });
});
