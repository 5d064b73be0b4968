import { randomBytes } from 'node:crypto';

const HEX_24 = /^[0-9a-f]{24}$/;

/** A new opaque id of 24 hex digits: 4 bytes of seconds, so that ids sort roughly by age, and 8 random bytes. */
export function newId(now: Date = new Date()): string {
  const seconds = Math.floor(now.getTime() / 1000) >>> 0;
  return seconds.toString(16).padStart(8, '0') + randomBytes(8).toString('hex');
}

export function isId(value: unknown): value is string {
  return typeof value === 'string' && HEX_24.test(value);
}
