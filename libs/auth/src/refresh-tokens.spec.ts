import { newId } from '@devpocket/kernel';
import { testSettings } from '@testing/config';
import fc from 'fast-check';
import { tmpdir } from 'node:os';
import { AuthKeys } from './auth-keys';
import { RefreshTokens } from './refresh-tokens';

const tokens = (): RefreshTokens => new RefreshTokens(new AuthKeys(testSettings({ DATA_DIR: tmpdir() }).auth));

describe('RefreshTokens', () => {
  const own = tokens();
  const id = newId();

  it('names its session, through any number of successors', () => {
    let token = own.first(id);
    const seen = new Set<string>();
    for (let n = 0; n < 10; n += 1) {
      expect(own.sessionOf(token)).toBe(id);
      expect(own.successor(token)).toBe(own.successor(token));
      seen.add(token);
      token = own.successor(token);
    }
    expect(seen.size).toBe(10);
  });

  it('begins each time anew', () => {
    expect(own.first(id)).not.toBe(own.first(id));
  });

  it('knows no token of another key, and makes no successor as another would', () => {
    const other = tokens();
    const token = own.first(id);
    expect(other.sessionOf(token)).toBeNull();
    expect(other.successor(token)).not.toBe(own.successor(token));
  });

  it('refuses a token of which one bit was changed', () => {
    const bytes = Buffer.from(own.first(id), 'base64url');
    fc.assert(
      fc.property(fc.nat({ max: bytes.length * 8 - 1 }), (bit) => {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return own.sessionOf(changed.toString('base64url')) === null;
      }),
      { numRuns: 480 },
    );
  });

  it('refuses any other text', () => {
    const token = own.first(id);
    for (const text of ['', 'x', token.slice(1), `${token}A`, `${token}=`, token.slice(0, -1) + '!', 'ü'.repeat(80)]) {
      expect(own.sessionOf(text)).toBeNull();
    }
    fc.assert(fc.property(fc.string({ maxLength: 100 }), (text) => own.sessionOf(text) === null));
  });
});
