import { comparePositions, cursorOf, type LogLine, LogReader, positionOf, secondOf, toEntry } from './log-lines';
import { decodeLog, encodeLog, lastOf, merge, SAVED_BYTES } from './saved-log';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';

const line = (time: bigint, message: string, index = 0, stage: 0 | 1 = 1, incarnation = 1): LogLine => ({
  position: { incarnation, stage, time, index },
  message,
  truncated: false,
});
const read = (...raw: string[]): (LogLine | null)[] => {
  const reader = new LogReader(2, 1);
  return raw.map((text) => reader.read(Buffer.from(text)));
};

describe('a line of a pod', () => {
  it('has a time to the nanosecond, in whatever zone its node writes it', () => {
    const [a, b, c] = read('2026-11-25T12:00:00.1Z one', '2026-11-25T13:00:00.100000001+01:00 two\r', '2026-11-25T12:00:01Z ');
    expect([a, b, c].map((one) => one && cursorOf(one.position))).toEqual([
      '2.1.1795608000100000000.0',
      '2.1.1795608000100000001.0',
      '2.1.1795608001000000000.0',
    ]);
    expect([a, b, c].map((one) => one?.message)).toEqual(['one', 'two', '']);
  });

  it('is told from others of its nanosecond by a count', () => {
    const at = '2026-11-25T12:00:00.5Z';
    expect(read(`${at} a`, `${at} b`, '2026-11-25T12:00:00.6Z c', `${at} d`).map((one) => one?.position.index)).toEqual([
      0, 1, 0, 0,
    ]);
  });

  it('is not what the kubelet says of the log', () => {
    expect(read('unable to retrieve container logs for containerd://abc', 'failed')).toEqual([null, null]);
  });

  it('is cut at 16 KiB, between characters', () => {
    const [long] = read(`2026-11-25T12:00:00Z ${'x'.repeat(16_383)}é!`);
    expect(long).toMatchObject({ truncated: true, message: 'x'.repeat(16_383) });
  });

  it('has a source', () => {
    const entries = [line(1n, 'devpocket: Started x'), line(1n, 'hello'), line(1n, 'devpocket: hello', 0, 0)].map(toEntry);
    expect(entries.map(({ source, message }) => [source, message])).toEqual([
      ['system', 'Started x'],
      ['container', 'hello'],
      ['startup', 'devpocket: hello'],
    ]);
  });

  it('is asked for again from its whole second', () => {
    expect(secondOf(1795608000999999999n)).toBe('2026-11-25T12:00:00Z');
  });
});

describe('a cursor', () => {
  it('comes back as the position that it was made of, and keeps the order', () => {
    const positions = fc.record({
      incarnation: fc.nat(5),
      stage: fc.constantFrom<0 | 1>(0, 1),
      time: fc.bigInt(0n, 3n),
      index: fc.nat(3),
    });
    fc.assert(
      fc.property(positions, positions, (a, b) => {
        expect(positionOf(cursorOf(a))).toEqual(a);
        expect(Math.sign(comparePositions(a, b))).toBe(-Math.sign(comparePositions(b, a)) + 0);
        expect(comparePositions(a, b) === 0).toBe(cursorOf(a) === cursorOf(b));
      }),
    );
  });

  it.each(['999999', '', '1.2.3.4', '1.1.x.0', '1.1.1.0 ', 'x'.repeat(128)])('is not %j', (text) => {
    expect(positionOf(text)).toBeNull();
  });
});

describe('a saved log', () => {
  it('keeps the last mebibyte, whole lines', () => {
    const lines = Array.from({ length: 3000 }, (_, at) => line(BigInt(at), 'x'.repeat(1000)));
    const kept = lastOf(lines);
    expect(kept.at(-1)).toBe(lines.at(-1));
    expect(kept.length * 1048).toBeLessThanOrEqual(SAVED_BYTES);
    expect((kept.length + 1) * 1048).toBeGreaterThan(SAVED_BYTES);
    expect(lastOf([])).toEqual([]);
  });

  it('comes back line by line, also what does not compress, in parts that the API takes', () => {
    const lines = lastOf(Array.from({ length: 1200 }, (_, at) => line(BigInt(at), randomBytes(600).toString('base64') + ' ü')));
    const parts = encodeLog(lines);
    for (const part of parts) expect(part.length).toBeLessThan(1_000_000);
    expect(parts.length).toBeGreaterThan(1);
    expect(decodeLog(parts)).toEqual(lines);
  });

  it('overwrites parts that are not needed any more', () => {
    const parts = encodeLog([line(1n, 'a')], 3);
    expect(parts).toHaveLength(3);
    expect(decodeLog(parts)).toEqual([line(1n, 'a')]);
  });

  it('has each line once and in order, whatever was written twice', () => {
    const a = line(1n, 'a', 0, 0);
    const b = line(0n, 'b');
    const c = line(0n, 'c', 1);
    const d = line(0n, 'd', 0, 0, 2);
    expect(merge([d, c, b, a, b, d])).toEqual([a, b, c, d]);
  });
});
