import { type Clock, DomainError } from '@devpocket/kernel';
import {
  RuntimeError,
  type TerminalChannel,
  type TerminalExit,
  type TerminalRecord,
  type TerminalRequest,
} from '@devpocket/runtime';
import { randomBytes } from 'node:crypto';
import { SESSION_ID } from './query.protocol';
import { type ScreenFormat, type ScreenKeeper } from './screen.messages';
import { type ScreenAt } from './session-screen';
import { TerminalSession } from './terminal-session';

/** How long an ended session keeps its tail and exit. */
const REMEMBER_MS = 10 * 60_000;
export const SWEEP_MS = 10_000;
/** Shells that are taken over, of those that run and those that have ended, for each that may run. */
const MOST_ADOPTED = 4;

/** Where the shells of one environment come from. */
export interface ShellSource {
  readonly environmentId: string;
  open(request: TerminalRequest): Promise<TerminalChannel>;
  /** Those that outlived who opened them; null: none does. */
  readonly kept: {
    records(): Promise<readonly TerminalRecord[]>;
    adopt(sessionId: string): Promise<TerminalChannel>;
  } | null;
}

export interface StoreListener {
  /** A shell printed so many bytes. */
  output(bytes: number): void;
  /** Somebody types in this environment, or a program in it works on. */
  active(environmentId: string): void;
}

export interface SessionView {
  readonly sessionId: string;
  readonly createdAt: Date;
  readonly attached: number;
  readonly cols: number;
  readonly rows: number;
  readonly lastOutputAt: Date | null;
  readonly exit: TerminalExit | null;
}

/** The shells of all environments that somebody has opened here. Sockets come and go; these stay. */
export class SessionStore {
  private readonly sessions = new Map<string, TerminalSession>(); // by `keyOf`
  /** Closed by request, by when: a runtime still remembers how they ended. */
  private readonly removed = new Map<string, number>();
  /** Opening and adopting go one after another within an environment. */
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(
    private readonly limits: { readonly maxSessionsPerEnvironment: number; readonly bufferBytes: number },
    private readonly clock: Clock,
    private readonly screens: ScreenKeeper,
    private readonly listener: StoreListener,
  ) {}

  /** Shells that are open. */
  get alive(): number {
    return [...this.sessions.values()].filter(({ alive }) => alive).length;
  }

  /** @throws DomainError `session_limit` @throws RuntimeError */
  open(source: ShellSource, cols: number, rows: number): Promise<TerminalSession> {
    const { environmentId } = source;
    return this.inTurn(environmentId, async () => {
      await this.adoptAll(source);
      await this.makeRoom(environmentId);
      const sessionId = randomBytes(12).toString('hex');
      return this.keep(environmentId, await source.open({ sessionId, cols, rows }));
    });
  }

  /** A session that exists, here or in a runtime whose shells outlived the last server. @throws DomainError `not_found` @throws RuntimeError */
  async find(source: ShellSource, sessionId: string): Promise<TerminalSession> {
    const { environmentId } = source;
    const key = keyOf(environmentId, sessionId);
    const known = this.sessions.get(key);
    if (known) return known;
    return this.inTurn(environmentId, async () => {
      await this.adoptAll(source);
      const found = this.sessions.get(key);
      if (!found) throw DomainError.notFound('Session');
      return found;
    });
  }

  /** @throws RuntimeError */
  async list(source: ShellSource): Promise<readonly SessionView[]> {
    await this.inTurn(source.environmentId, () => this.adoptAll(source));
    return this.of(source.environmentId).map((session) => ({
      sessionId: session.id,
      createdAt: session.createdAt,
      attached: session.attached,
      ...session.describe(),
    }));
  }

  of(environmentId: string): readonly TerminalSession[] {
    return [...this.sessions.values()].filter((session) => session.environmentId === environmentId);
  }

  /** The screen as it stands, also of a shell that has ended. @throws DomainError `unavailable` */
  async picture(session: TerminalSession, format: ScreenFormat): Promise<ScreenAt> {
    try {
      return await session.picture(format);
    } catch (cause) {
      throw new DomainError('unavailable', 'unavailable', 'The screen cannot be had now; try again', { cause, retryAfter: 1 });
    }
  }

  /** Ends the shell, or forgets one that has ended. */
  async close(session: TerminalSession): Promise<void> {
    if (session.alive) await session.kill();
    const key = keyOf(session.environmentId, session.id);
    this.drop(key);
    this.removed.set(key, this.clock.millis());
  }

  /** What became of an environment: those who are attached hear it. */
  told(environmentId: string, message: Readonly<Record<string, unknown>>, runs: boolean, deleted: boolean): void {
    for (const session of this.of(environmentId)) {
      session.tell(message);
      if (!runs) session.release();
      if (deleted) session.deleted();
    }
  }

  /** The server goes: where the runtime can, its shells stay for the next. */
  leaveAll(): void {
    for (const session of this.sessions.values()) session.leave();
    this.sessions.clear();
  }

  /** Another replica has the shells of this environment now: who is attached here comes back there. */
  handOver(environmentId: string): void {
    for (const session of this.of(environmentId)) {
      session.handOver();
      this.drop(keyOf(environmentId, session.id));
    }
  }

  forgetAll(environmentId: string): void {
    for (const session of this.of(environmentId)) this.drop(keyOf(environmentId, session.id));
  }

  /** Every `SWEEP_MS`: forgets what ended long ago, and notes work that goes on in the foreground of shells that print. */
  async sweep(): Promise<void> {
    const now = this.clock.millis();
    for (const [key, at] of this.removed) if (at < now - 2 * REMEMBER_MS) this.removed.delete(key);
    for (const [key, { endedAt, attached }] of this.sessions)
      if (endedAt && endedAt.getTime() < now - REMEMBER_MS && attached === 0) this.drop(key);
    // At once: one environment may take its time to answer.
    await Promise.all([...this.sessions.values()].map((session) => this.note(session, now)));
  }

  /** Takes over what outlived the server that opened it; of what an environment says of that so much as a server would have. */
  private async adoptAll({ environmentId, kept }: ShellSource): Promise<void> {
    if (!kept) return;
    const records = await kept.records();
    const isNew = (sessionId: string): boolean => {
      const key = keyOf(environmentId, sessionId);
      return SESSION_ID.test(sessionId) && !this.sessions.has(key) && !this.removed.has(key);
    };
    const room = MOST_ADOPTED * this.limits.maxSessionsPerEnvironment - this.of(environmentId).length;
    const newest = records
      .filter(({ sessionId }) => isNew(sessionId))
      .sort((a, b) => Number(a.exit !== null) - Number(b.exit !== null) || b.createdAt.getTime() - a.createdAt.getTime())
      .slice(0, Math.max(0, room));
    for (const { sessionId } of newest) {
      try {
        await this.keep(environmentId, await kept.adopt(sessionId));
      } catch (error) {
        if (!(error instanceof RuntimeError) || (error.kind !== 'gone' && error.kind !== 'refused')) throw error;
      }
    }
  }

  /** The oldest session that nobody is attached to and where nothing runs gives way. */
  private async makeRoom(environmentId: string): Promise<void> {
    const alive = this.of(environmentId).filter((session) => session.alive);
    if (alive.length < this.limits.maxSessionsPerEnvironment) return;
    const detached = alive.filter(({ attached }) => attached === 0).sort((a, b) => a.lastUse - b.lastUse);
    for (const session of detached) {
      const busy = await session.foregroundBusy();
      if (busy === true || session.attached > 0) continue;
      await this.close(session);
      return;
    }
    throw new DomainError(
      'rate_limited',
      'session_limit',
      `At most ${this.limits.maxSessionsPerEnvironment} terminals an environment; close one first`,
      { retryAfter: 5 },
    );
  }

  private async keep(environmentId: string, channel: TerminalChannel): Promise<TerminalSession> {
    const session = new TerminalSession(
      channel,
      environmentId,
      this.limits.bufferBytes,
      this.clock,
      {
        output: (bytes) => this.listener.output(bytes),
        typed: () => this.listener.active(environmentId),
        ended: () => undefined,
      },
      this.screens,
    );
    await session.restored;
    const key = keyOf(environmentId, session.id);
    this.sessions.set(key, session);
    void channel.ended.then(({ elsewhere }) => {
      if (elsewhere === true && this.sessions.get(key) === session) this.drop(key);
    });
    return session;
  }

  private async note(session: TerminalSession, now: number): Promise<void> {
    const { lastOutputAt } = session.describe();
    if (!session.alive || !lastOutputAt || lastOutputAt.getTime() < now - SWEEP_MS) return;
    const busy = await session.foregroundBusy().catch(() => null);
    if (busy ?? session.quietTyping) this.listener.active(session.environmentId);
  }

  private drop(key: string): void {
    this.sessions.get(key)?.forget();
    this.sessions.delete(key);
  }

  private async inTurn<T>(environmentId: string, work: () => Promise<T>): Promise<T> {
    const before = this.turns.get(environmentId) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.turns.set(environmentId, turn);
    try {
      return await turn;
    } finally {
      if (this.turns.get(environmentId) === turn) this.turns.delete(environmentId);
    }
  }
}

/** An id is what an environment says of its own shells: another's may have the same. */
function keyOf(environmentId: string, sessionId: string): string {
  return `${environmentId}/${sessionId}`;
}
