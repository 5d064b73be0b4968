import { AuthSettings } from '@devpocket/config';
import { Injectable } from '@nestjs/common';
import { createHmac, createSecretKey, type KeyObject, hkdfSync } from 'node:crypto';

const USES = ['refresh-successor', 'refresh-tag', 'lockout-name', 'google-state'] as const;
export type KeyUse = (typeof USES)[number];

/** A key for each use, derived from SECRET_KEY (HKDF, RFC 5869), so that no two uses share one. */
@Injectable()
export class AuthKeys {
  private readonly keys: ReadonlyMap<KeyUse, Buffer>;

  constructor(settings: AuthSettings) {
    const derive = (use: KeyUse): Buffer => Buffer.from(hkdfSync('sha256', settings.secretKey, '', `devpocket ${use}`, 32));
    this.keys = new Map(USES.map((use) => [use, derive(use)]));
  }

  /** HMAC-SHA256, 32 bytes. */
  mac(use: KeyUse, data: string | Uint8Array): Buffer {
    const key = this.keys.get(use);
    if (!key) throw new Error(`There is no key for ${use}`);
    return createHmac('sha256', key).update(data).digest();
  }
}

/** The HS256 key as it stands. Ready-made: from a string jsonwebtoken would first try to read a public key with each token. */
export function accessTokenKey({ secretKey }: AuthSettings): KeyObject {
  return createSecretKey(secretKey, 'utf8');
}
