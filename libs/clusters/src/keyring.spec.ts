import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { Keyring } from './keyring';

describe('the keyring', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const before = new Keyring({ encryptionKey: first, oldEncryptionKeys: [] });
  const after = new Keyring({ encryptionKey: second, oldEncryptionKeys: [first] });

  it('opens what it sealed, and what it sealed under an earlier key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (secret, owner) => {
        const sealed = before.seal(secret, owner);
        expect(before.open(sealed, owner)).toBe(Buffer.from(secret).toString());
        expect(after.open(sealed, owner)).toBe(Buffer.from(secret).toString());
      }),
    );
  });

  it('seals under the present key, never twice alike, and its id tells nothing of it', () => {
    const [one, other] = [after.seal('secret', 'a'), after.seal('secret', 'a')];
    expect(one.keyId).toBe(after.keyId);
    expect(one.keyId).not.toBe(before.keyId);
    expect(one.nonce).not.toEqual(other.nonce);
    expect(one.data.toString('latin1')).not.toContain('secret');
    expect(second.toString('hex')).not.toContain(one.keyId);
  });

  it.each([
    ['for another owner', (sealed: ReturnType<Keyring['seal']>) => [sealed, 'b'] as const],
    ['with a changed byte', (sealed: ReturnType<Keyring['seal']>) => [{ ...sealed, data: Buffer.from('xecret') }, 'a'] as const],
    ['with a cut tag', (sealed: ReturnType<Keyring['seal']>) => [{ ...sealed, tag: sealed.tag.subarray(0, 4) }, 'a'] as const],
  ])('opens nothing %s', (_what, change) => {
    const [sealed, owner] = change(before.seal('secret', 'a'));
    expect(() => before.open(sealed, owner)).toThrow();
  });

  it('says which key is missing, and that it may be an old one', () => {
    const sealed = after.seal('secret', 'a');
    expect(() => before.open(sealed, 'a')).toThrow(new RegExp(`${after.keyId}.*ENCRYPTION_KEYS_OLD`));
  });
});
