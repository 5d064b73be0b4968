import { type Clock } from '@devpocket/kernel';
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** How old a call may be: clocks of machines differ, and a call is under way for a moment. */
const AGE_MS = 30_000;

interface Seal {
  readonly to: string;
  readonly at: number;
  readonly nonce: string;
  readonly path: string;
  /** SHA-256 of the content. */
  readonly digest: string;
}

/**
 * Calls between replicas bear an HMAC under a key that all of an installation can derive and nobody else: over whom it is for, when it
 * was made, where it goes and what it says. Each is good once.
 */
export class ReplicaSeal {
  private readonly key: Buffer;
  /** Seen, in order of time. */
  private readonly seen = new Map<string, number>();

  constructor(
    secretKey: string,
    private readonly clock: Clock,
  ) {
    this.key = createHmac('sha256', secretKey).update('devpocket/replica-calls/v1').digest();
  }

  /** @param to the replica that it is for */
  seal(to: string, path: string, content: string): string {
    const nonce = randomBytes(16).toString('base64url');
    const seal: Seal = { to, at: this.clock.millis(), nonce, path, digest: digestOf(content) };
    const text = Buffer.from(JSON.stringify(seal)).toString('base64url');
    return `${text}.${this.mac(text)}`;
  }

  /** Was it made by a replica of this installation, for this one, a moment ago, of this content, and never seen before? */
  accepts(header: string, self: string, path: string, content: string): boolean {
    const [text = '', mac = ''] = header.split('.');
    if (!sameText(mac, this.mac(text))) return false;
    const { to, at, nonce, path: sealed, digest } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Seal;
    const now = this.clock.millis();
    if (to !== self || sealed !== path || digest !== digestOf(content) || Math.abs(now - at) > AGE_MS) return false;
    return this.isNew(nonce, now);
  }

  /** Calls that are known to have been taken. */
  get remembered(): number {
    return this.seen.size;
  }

  private isNew(nonce: string, now: number): boolean {
    for (const [old, at] of this.seen) {
      if (at > now - 2 * AGE_MS) break;
      this.seen.delete(old);
    }
    if (this.seen.has(nonce)) return false;
    this.seen.set(nonce, now);
    return true;
  }

  private mac(text: string): string {
    return createHmac('sha256', this.key).update(text).digest('base64url');
  }
}

function digestOf(content: string): string {
  return createHash('sha256').update(content).digest('base64url');
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
