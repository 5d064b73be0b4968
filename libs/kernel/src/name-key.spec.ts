import fc from 'fast-check';
import { nameKey } from './name-key';

describe('nameKey', () => {
  it('is the same for names that differ in case, width or composition', () => {
    expect(nameKey('  ADA@Example.COM ')).toBe('ada@example.com');
    expect(nameKey('ＡＤＡ')).toBe('ada');
    expect(nameKey('o\ufb00ice')).toBe('office');
    expect(nameKey('Ame\u0301lie')).toBe(nameKey('AM\u00c9LIE'));
    expect(nameKey('ΟΔΟΣ@example.com')).toBe(nameKey('οδοσ@example.com'));
    expect(nameKey('STRASSE@example.com')).toBe(nameKey('straße@example.com'));
    expect(nameKey('vıctım')).toBe('victim');
    expect(nameKey('STRAẞE@example.com')).toBe(nameKey('straße@example.com'));
  });

  it('is the same in upper, lower and mixed case, whatever the letters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const keys = [name, name.toUpperCase(), name.toLowerCase(), name.toUpperCase().toLowerCase()].map(nameKey);
        expect(new Set(keys).size).toBe(1);
      }),
      { numRuns: 2000 },
    );
  });

  it('does not change a key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => nameKey(nameKey(name)) === nameKey(name)),
      { numRuns: 2000 },
    );
  });
});
