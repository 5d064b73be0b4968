import { Clock } from '@devpocket/kernel';
import { MailOutbox } from '@devpocket/mail';
import { nameKey } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { AuthKeys } from './auth-keys';
import { decideAttempt, MAX_WRONG } from './lockout.policy';
import { LockoutRepository } from './lockout.repository';

/** Whose attempts are counted together: an account under all its names, or a name that no account has. */
export type LockoutSubject = { readonly userId: string } | { readonly name: string };

export type AttemptOutcome = 'right' | 'wrong' | 'locked';

const LOOK_AGAIN_MS = 25;

/** Counts wrong passwords. An attempt takes its try before the password is compared, so parallel guesses get no extra one. */
@Injectable()
export class LockoutService {
  constructor(
    private readonly rows: LockoutRepository,
    private readonly keys: AuthKeys,
    private readonly outbox: MailOutbox,
    private readonly clock: Clock,
  ) {}

  /** Runs `isRight` if there is a try left. A right password clears the row; an error gives the try back. */
  async attempt(subject: LockoutSubject, isRight: () => Promise<boolean>): Promise<AttemptOutcome> {
    const id = this.idOf(subject);
    const round = await this.take(id);
    if (round === null) return 'locked';
    const right = await isRight().catch(async (error: unknown) => {
      await this.rows.release(id, round);
      throw error;
    });
    if (right) await this.rows.remove(id, round);
    else if ((await this.count(id, round)) === MAX_WRONG) await this.tell(subject);
    return right ? 'right' : 'wrong';
  }

  /** Forgets the row, as a password reset does. */
  clear(subject: LockoutSubject): Promise<void> {
    return this.rows.clear(this.idOf(subject));
  }

  /** The row in which a try was taken; null while locked. */
  private async take(id: string): Promise<string | null> {
    for (;;) {
      const row = await this.rows.find(id);
      const now = this.clock.now();
      switch (decideAttempt(row, now)) {
        case 'open': {
          const round = randomUUID();
          if (await this.rows.open(id, round, now)) return round;
          break;
        }
        case 'expire':
          if (row) await this.rows.remove(id, row.round);
          break;
        case 'take':
          if (row && (await this.rows.take(row, now))) return row.round;
          break;
        case 'wait':
          await this.clock.wait(LOOK_AGAIN_MS);
          break;
        case 'locked':
          return null;
      }
    }
  }

  /** A wrong password whose row was cleared meanwhile begins the next row. @returns how many are wrong now */
  private async count(id: string, round: string): Promise<number | null> {
    const wrong = await this.rows.markWrong(id, round);
    if (wrong !== null) return wrong;
    const next = await this.take(id);
    return next === null ? null : this.rows.markWrong(id, next);
  }

  /** Also of an unknown name, of which nothing comes: it must not take less work. */
  private tell(subject: LockoutSubject): Promise<void> {
    return this.outbox.put('locked', 'userId' in subject ? { user: subject.userId } : {});
  }

  private idOf(subject: LockoutSubject): string {
    const text = 'userId' in subject ? `user:${subject.userId}` : `name:${nameKey(subject.name)}`;
    return this.keys.mac('lockout-name', text).toString('base64url');
  }
}
