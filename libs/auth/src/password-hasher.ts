import { AuthSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { PASSWORD_MAX_BYTES } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { compare, genSaltSync, getRounds, hash } from 'bcrypt';
import { availableParallelism } from 'node:os';
import { Slots } from './slots';

/**
 * bcrypt works in libuv's pool of four threads, which files and name look-ups use too: half of them stay free, and one core
 * stays free for the terminals.
 */
const AT_ONCE = Math.max(1, Math.min(availableParallelism() - 1, 2));
const WAITING = 256;

/** bcrypt off the main thread, a bounded number at once. */
@Injectable()
export class PasswordHasher {
  private readonly slots = new Slots(
    AT_ONCE,
    WAITING,
    () => new DomainError('unavailable', 'unavailable', 'Too many sign-ins at this moment; try again', { retryAfter: 5 }),
  );
  /** Compared for accounts that cannot sign in: as much work as a real one, and no password fits. */
  private readonly nobody: string;

  constructor(private readonly settings: AuthSettings) {
    this.nobody = genSaltSync(settings.bcryptRounds) + '.'.repeat(31);
  }

  /**
   * @param stillWanted runs when the work is about to begin, after any wait; throws when it has become pointless
   * @throws DomainError `unavailable` when too many are waiting; whatever `stillWanted` throws
   */
  hash(password: string, stillWanted: () => Promise<void> = () => Promise.resolve()): Promise<string> {
    return this.slots.run(async () => {
      await stillWanted();
      return hash(password, this.settings.bcryptRounds);
    });
  }

  /** The same work for every answer. @param hashed null: an account that cannot sign in, nothing matches */
  matches(password: string, hashed: string | null): Promise<boolean> {
    return this.slots.run(async () => {
      const same = await compare(password, hashed ?? this.nobody);
      // bcrypt ends at 72 bytes: a longer password would match by its beginning.
      return same && hashed !== null && Buffer.byteLength(password) <= PASSWORD_MAX_BYTES && !password.includes('\0');
    });
  }

  /** Was it made at another cost than is set now? */
  isOutdated(hashed: string): boolean {
    return getRounds(hashed) !== this.settings.bcryptRounds;
  }
}
