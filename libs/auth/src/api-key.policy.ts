import { createHash, randomInt, timingSafeEqual } from 'node:crypto';

/** What a bearer must begin with to be taken for a key; no JWT does. */
export const API_KEY_PREFIX = 'dp_';
const PUBLIC_CHARACTERS = 8;
const SECRET_CHARACTERS = 32;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const FORM = new RegExp(`^(dp_[A-Za-z0-9]{${PUBLIC_CHARACTERS}})_[A-Za-z0-9]{${SECRET_CHARACTERS}}$`);

function random(characters: number): string {
  return Array.from({ length: characters }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

/** `dp_<8 public>_<32 random>`: 190 bits of chance, so that a plain SHA-256 keeps it. */
export function newApiKey(): { readonly key: string; readonly prefix: string } {
  const prefix = `${API_KEY_PREFIX}${random(PUBLIC_CHARACTERS)}`;
  return { key: `${prefix}_${random(SECRET_CHARACTERS)}`, prefix };
}

/** By what a presented key is looked up; null for what has not the form of one. */
export function prefixOf(presented: string): string | null {
  return FORM.exec(presented)?.[1] ?? null;
}

export function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Takes as long for any two. */
export function isKeyOf(presented: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(presented)), Buffer.from(hash));
}
