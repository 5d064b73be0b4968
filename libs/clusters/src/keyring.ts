import { EncryptionSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** A secret at rest: AES-256-GCM (NIST SP 800-38D) under a random 96-bit nonce. */
export interface Sealed {
  readonly keyId: string;
  readonly nonce: Buffer;
  readonly tag: Buffer;
  readonly data: Buffer;
}

/** The keys of secrets at rest: one that seals, and earlier ones that open what is not sealed anew yet. */
@Injectable()
export class Keyring {
  /** Of the key that seals. */
  readonly keyId: string;
  private readonly keys: ReadonlyMap<string, Buffer>;

  constructor({ encryptionKey, oldEncryptionKeys }: EncryptionSettings) {
    this.keyId = idOf(encryptionKey);
    this.keys = new Map([encryptionKey, ...oldEncryptionKeys].map((key) => [idOf(key), key]));
  }

  /** @param owner whose secret it is; what is sealed for one opens for no other */
  seal(secret: string, owner: string): Sealed {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.key(this.keyId), nonce).setAAD(Buffer.from(owner));
    const data = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return { keyId: this.keyId, nonce, tag: cipher.getAuthTag(), data };
  }

  /** @throws DomainError `unavailable`: sealed under a key that is not here, or not what was sealed for this owner */
  open({ keyId, nonce, tag, data }: Sealed, owner: string): string {
    const decipher = createDecipheriv('aes-256-gcm', this.key(keyId), nonce, { authTagLength: 16 })
      .setAAD(Buffer.from(owner))
      .setAuthTag(tag);
    try {
      return Buffer.concat([decipher.update(data), decipher.final()]).toString('utf8');
    } catch {
      throw new DomainError('unavailable', 'unavailable', 'A secret at rest is damaged');
    }
  }

  private key(id: string): Buffer {
    const key = this.keys.get(id);
    if (!key) {
      const message = `A secret is sealed under the key ${id}, which this server does not have (see ENCRYPTION_KEYS_OLD)`;
      throw new DomainError('unavailable', 'unavailable', message);
    }
    return key;
  }
}

/** Tells keys apart and tells nothing of them. */
function idOf(key: Buffer): string {
  return createHash('sha256').update('devpocket key id').update(key).digest('hex').slice(0, 16);
}
