import fc from 'fast-check';
import { anyValue } from '../testing/arbitraries';
import { compare, descending, equal, keyOf } from './key';
import { T, value, Value } from './value';

describe('keys', () => {
  it('order the types as MongoDB does', () => {
    const empty = (type: number): Value => new Value(type, Buffer.alloc(0));
    const oid = new Value(T.OBJECT_ID, Buffer.alloc(12));
    const binary = new Value(T.BINARY, Buffer.from([0, 0, 0, 0, 0]));
    const timestamp = new Value(T.TIMESTAMP, Buffer.alloc(8));
    const regex = new Value(T.REGEX, Buffer.from('a\0\0'));
    const code = new Value(T.CODE, value('f').bytes);
    const order = [
      empty(T.MIN_KEY),
      value(null),
      value(Number.NaN),
      value(-1),
      value(1e300),
      value(''),
      value('a'),
      value({}),
      value({ a: 1 }),
    ];
    order.push(
      value([]),
      value([1]),
      binary,
      oid,
      value(false),
      value(true),
      value(new Date(0)),
      timestamp,
      regex,
      code,
      empty(T.MAX_KEY),
    );
    for (const [at, each] of order.entries()) {
      for (const [other, against] of order.entries()) expect(Math.sign(compare(each, against))).toBe(Math.sign(at - other));
    }
  });

  it('tell neighbours apart that doubles do not', () => {
    const [low, high] = [value(2n ** 53n), value(2n ** 53n + 1n)];
    expect(compare(low, high)).toBeLessThan(0);
    expect(equal(value(2 ** 53), low)).toBe(true);
    expect(equal(value(2 ** 53), high)).toBe(false);
  });

  it('never begin one another, ascending or descending, and are the same for what is equal', () => {
    fc.assert(
      fc.property(anyValue, anyValue, (a, b) => {
        const [one, other] = [keyOf(a), keyOf(b)];
        if (equal(a, b)) expect(one).toEqual(other);
        else expect(one.subarray(0, other.length).equals(other)).toBe(false);
        expect(Math.sign(Buffer.compare(descending(one), descending(other)))).toBe(-Math.sign(Buffer.compare(one, other)) + 0);
      }),
      { numRuns: 5000 },
    );
  });
});
