/** What showed who it is when a session began. */
export type SignInMethod = 'password' | 'google';

/** A signed-in device. Of its refresh tokens only hashes are known: the current one's and that of the one before. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  readonly method: SignInMethod;
  /** The account's epoch in which it began; in a later one it has ended. */
  readonly epoch: number;
  readonly currentHash: string;
  /** Null until the first refresh. */
  readonly priorHash: string | null;
  /** When the prior token was presented and the current one made. */
  readonly rotatedAt: Date | null;
  readonly userAgent: string | null;
  readonly ip: string | null;
  readonly createdAt: Date;
  readonly lastUsedAt: Date;
  readonly expiresAt: Date;
}

/**
 * `rotate`: the current token, which makes its successor the current one. `replay`: the one before, whose answer may have been
 * lost: the same successor again. `reused`: any older one, or the one before too late: somebody has a copy, end the session.
 */
export type RefreshStep = 'rotate' | 'replay' | 'reused';

/**
 * What to do with a token of this session, which is alive.
 * @param presentedHash hash of a token that we made for this session
 * @param graceMs how long after it was first presented the prior token is answered again
 */
export function decideRefresh(session: Session, presentedHash: string, now: Date, graceMs: number): RefreshStep {
  if (presentedHash === session.currentHash) return 'rotate';
  if (presentedHash !== session.priorHash || session.rotatedAt === null) return 'reused';
  return now.getTime() - session.rotatedAt.getTime() < graceMs ? 'replay' : 'reused';
}
