import { NO_ORIGIN } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { type Credentials, CredentialsService } from '@devpocket/users';
import { AuthApp } from '@testing/auth';
import { ManualClock } from '@testing/kernel';
import fc from 'fast-check';
import { CredentialAuthenticator } from './credential-authenticator';
import { SessionsService } from './sessions.service';

const DAYS = 24 * 3_600_000;

describe('sessions', () => {
  // Not behind the machine's own time, by which the database deletes what has expired.
  const clock = new ManualClock(Date.now());
  let auth: AuthApp;
  let sessions: SessionsService;
  let authenticator: CredentialAuthenticator;
  let account: Credentials;
  let userId: string;

  beforeAll(async () => {
    auth = await AuthApp.start({ clock });
    sessions = auth.app.get(SessionsService);
    authenticator = auth.app.get(CredentialAuthenticator);
    userId = (await auth.signUp('ada')).id;
    const found = await auth.app.get(CredentialsService).find(userId);
    if (!found) throw new Error('There is no account');
    account = found;
  });
  afterAll(() => auth.close());

  const codeOf = (error: unknown): string => {
    if (error instanceof DomainError) return error.code;
    throw error;
  };
  /** The successor, or the code of the refusal. */
  const refresh = async (token: string): Promise<{ readonly next: string; readonly access: string } | string> => {
    try {
      const { refreshToken, accessToken } = await sessions.refresh(token, NO_ORIGIN);
      return { next: refreshToken, access: accessToken };
    } catch (error) {
      return codeOf(error);
    }
  };
  const authenticates = async (access: string): Promise<string> => {
    try {
      return (await authenticator.authenticate(access)).credential.id;
    } catch (error) {
      return codeOf(error);
    }
  };

  type Act =
    | { readonly kind: 'present'; readonly back: number }
    | { readonly kind: 'pass'; readonly ms: number }
    | { readonly kind: 'logout' };
  const act: fc.Arbitrary<Act> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('present' as const), back: fc.constantFrom(0, 0, 0, 1, 1, 2, 3) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('pass' as const),
        ms: fc.constantFrom(1, 1000, 30_000, 59_999, 60_000, 1_800_000, 29 * DAYS, 30 * DAYS),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'logout' as const }) },
  );

  it('go on, replay and end as the contract says, for every order of events', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 25 }), async (acts) => {
        const first = await sessions.open(account, NO_ORIGIN);
        const id = await authenticates(first.accessToken);
        const tokens = [first.refreshToken];
        const model = { alive: true, rotatedAt: -Infinity, expiresAt: clock.millis() + 30 * DAYS };
        for (const step of acts) {
          if (step.kind === 'pass') {
            clock.push(step.ms);
            continue;
          }
          if (step.kind === 'logout') {
            await sessions.end(userId, id, 'session.ended', NO_ORIGIN).catch(codeOf);
            model.alive = false;
            continue;
          }
          const index = Math.max(0, tokens.length - 1 - step.back);
          const now = clock.millis();
          const answer = await refresh(tokens[index] ?? '');
          if (!model.alive) {
            expect(answer).toBe('session_revoked');
          } else if (now >= model.expiresAt) {
            expect(answer).toBe('token_expired');
          } else if (index === tokens.length - 1) {
            if (typeof answer === 'string') throw new Error(answer);
            expect(tokens).not.toContain(answer.next);
            expect(await authenticates(answer.access)).toBe(id);
            tokens.push(answer.next);
            model.rotatedAt = now;
            model.expiresAt = now + 30 * DAYS;
          } else if (index === tokens.length - 2 && now - model.rotatedAt < 60_000) {
            if (typeof answer === 'string') throw new Error(answer);
            expect(answer.next).toBe(tokens[index + 1]);
            expect(await authenticates(answer.access)).toBe(id);
          } else {
            expect(answer).toBe('refresh_reused');
            model.alive = false;
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('give every one of parallel presenters the same successor, and one of them ends it or none', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 8 }), fc.integer({ min: 0, max: 8 }), async (presenters, logoutAt) => {
        const first = await sessions.open(account, NO_ORIGIN);
        const id = await authenticates(first.accessToken);
        const answers = await Promise.all(
          Array.from({ length: presenters + 1 }, async (_, n) => {
            if (n === logoutAt) return sessions.end(userId, id, 'session.ended', NO_ORIGIN).then(() => 'out');
            return refresh(first.refreshToken);
          }),
        );
        const pairs = answers.filter((answer) => typeof answer !== 'string');
        expect(new Set(pairs.map(({ next }) => next)).size).toBeLessThanOrEqual(1);
        const loggedOut = answers.includes('out');
        for (const answer of answers) {
          if (typeof answer === 'string') expect([loggedOut ? 'session_revoked' : '', 'out']).toContain(answer);
          else expect(await authenticates(answer.access)).toBe(loggedOut ? 'session_revoked' : id);
        }
        if (loggedOut && pairs[0]) expect(await refresh(pairs[0].next)).toBe('session_revoked');
      }),
      { numRuns: 40 },
    );
  });

  it('are ended by a reused token, that one alone, and say so once in the audit trail', async () => {
    const [stolen, other] = [await sessions.open(account, NO_ORIGIN), await sessions.open(account, NO_ORIGIN)];
    const id = await authenticates(stolen.accessToken);
    const heard: unknown[] = [];
    const stop = authenticator.onRevoked((revocation) => heard.push(revocation));
    const next = await refresh(stolen.refreshToken);
    clock.push(60_000);
    const reuses = await Promise.all(Array.from({ length: 5 }, () => refresh(stolen.refreshToken)));
    stop();
    expect(reuses.filter((code) => code === 'refresh_reused')).toHaveLength(1);
    expect(reuses.filter((code) => code === 'session_revoked')).toHaveLength(4);
    expect(heard).toEqual([{ userId, credential: { kind: 'session', id, userId } }]);
    if (typeof next === 'string') throw new Error(next);
    expect(await refresh(next.next)).toBe('session_revoked');
    expect(await authenticates(next.access)).toBe('session_revoked');
    expect(await authenticates(other.accessToken)).not.toBe('session_revoked');
    const entries = await auth.database.connection
      .collection('audit_entries')
      .find({ action: 'session.refresh_reused', target: `session:${id}` })
      .toArray();
    expect(entries).toHaveLength(1);
  });

  it('keep nothing of which a token could be made', async () => {
    const pair = await sessions.open(account, NO_ORIGIN);
    const next = await refresh(pair.refreshToken);
    if (typeof next === 'string') throw new Error(next);
    const stored = JSON.stringify(await auth.database.connection.collection('sessions').find().toArray());
    for (const secret of [pair.refreshToken, next.next, pair.accessToken, next.access]) expect(stored).not.toContain(secret);
  });

  it('are restored for a ticket only while they live', async () => {
    const pair = await sessions.open(account, NO_ORIGIN);
    const { credential } = await authenticator.authenticate(pair.accessToken);
    expect(await authenticator.restore(credential)).toMatchObject({ userId, credential, expiresAt: null });
    await sessions.end(userId, credential.id, 'session.ended', NO_ORIGIN);
    await expect(authenticator.restore(credential)).rejects.toMatchObject({ code: 'session_revoked' });
    await expect(authenticator.restore({ kind: 'api_key', id: credential.id, userId })).rejects.toMatchObject({
      code: 'session_revoked',
    });
  });
});
