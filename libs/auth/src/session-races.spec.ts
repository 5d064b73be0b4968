import { type Principal } from '@devpocket/access';
import { NO_ORIGIN } from '@devpocket/http';
import { DomainError, newId } from '@devpocket/kernel';
import { type Credentials, CredentialsService, UsersService } from '@devpocket/users';
import { AuthApp, PASSWORD } from '@testing/auth';
import { ManualClock } from '@testing/kernel';
import fc from 'fast-check';
import { AsyncLocalStorage } from 'node:async_hooks';
import { AccountService } from './account.service';
import { CredentialAuthenticator } from './credential-authenticator';
import { PasswordHasher } from './password-hasher';
import { SessionRepository } from './session.repository';
import { SessionsService } from './sessions.service';
import { type TokenPair } from './token-pairs';

/** A run takes a tenth of a second on a busy machine; the check of a release makes a thousand. */
const RUNS = Number(process.env.DEVPOCKET_RACES ?? 100);
const GRACE_MS = 60_000;

/** What is under way at once. `phone` and `laptop` are two sessions of one account. */
type Act =
  | { readonly kind: 'refresh' | 'logout' | 'revoke'; readonly device: 'phone' | 'laptop' }
  | { readonly kind: 'remove account' | 'deactivate' | 'change password' };

const device = fc.constantFrom('phone' as const, 'laptop' as const);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('refresh' as const), device }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('logout' as const, 'revoke' as const), device }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('remove account' as const, 'deactivate' as const, 'change password' as const) }),
  },
);

/** A session, and every token of it that there ever was. */
interface Device {
  readonly id: string;
  readonly principal: Principal;
  /** Refresh tokens by what they were given for, oldest first. */
  readonly successors: Map<string, string>;
  readonly access: string[];
  current: string;
  ended: boolean;
}

/** One of several acts, and those of its steps that wait. */
interface Runner {
  readonly waiting: (() => void)[];
}

/**
 * Runs acts a step at a time: a step is a read or write, and whose is next is chosen only when every act has come to one. So each
 * order that there can be is as likely, not only those that a fast database gives.
 */
class Turns {
  private readonly current = new AsyncLocalStorage<Runner>();
  private readonly runners = new Set<Runner>();
  private stepping = false;
  private choices: number[] = [];

  /** Makes each call of these methods a step. */
  take(target: object, names: readonly string[]): void {
    for (const name of names) {
      const original: unknown = Reflect.get(target, name);
      if (typeof original !== 'function') throw new Error(`${name} is no method`);
      Reflect.set(target, name, (...args: unknown[]) =>
        this.step(() => Reflect.apply(original, target, args) as Promise<unknown>),
      );
    }
  }

  async all(acts: readonly (() => Promise<void>)[], choices: readonly number[]): Promise<void> {
    this.choices = [...choices];
    const runners = acts.map((run) => ({ run, runner: { waiting: [] } }));
    for (const { runner } of runners) this.runners.add(runner);
    await Promise.all(
      runners.map(async ({ run, runner }) => {
        try {
          await this.current.run(runner, run);
        } finally {
          this.runners.delete(runner);
          this.next();
        }
      }),
    );
  }

  private async step(work: () => Promise<unknown>): Promise<unknown> {
    const runner = this.current.getStore();
    if (!runner) return work();
    await new Promise<void>((resolve) => {
      runner.waiting.push(resolve);
      this.next();
    });
    try {
      return await work();
    } finally {
      this.stepping = false;
      this.next();
    }
  }

  private next(): void {
    const runners = [...this.runners];
    if (this.stepping || runners.length === 0 || runners.some(({ waiting }) => waiting.length === 0)) return;
    const chosen = runners[(this.choices.shift() ?? 0) % runners.length];
    this.stepping = true;
    chosen?.waiting.shift()?.();
  }
}

jest.setTimeout(300_000);

describe('sessions, whatever is under way at once', () => {
  const clock = new ManualClock(Date.now());
  let auth: AuthApp;
  let sessions: SessionsService;
  let accounts: AccountService;
  let credentials: CredentialsService;
  let authenticator: CredentialAuthenticator;
  let passwordHash: string;
  const turns = new Turns();

  beforeAll(async () => {
    auth = await AuthApp.start({ clock });
    sessions = auth.app.get(SessionsService);
    accounts = auth.app.get(AccountService);
    credentials = auth.app.get(CredentialsService);
    authenticator = auth.app.get(CredentialAuthenticator);
    passwordHash = await auth.app.get(PasswordHasher).hash(PASSWORD);
    turns.take(auth.app.get(SessionRepository), ['find', 'rotate', 'replay', 'remove', 'carryOver', 'removeBefore']);
    turns.take(credentials, ['find', 'beginRemoval', 'replacePassword']);
    turns.take(auth.app.get(UsersService), ['changeAccount']);
  });
  afterAll(() => auth.close());

  const codeOf = (error: unknown): string => {
    if (error instanceof DomainError) return error.code;
    throw error;
  };
  const opens = (access: string): Promise<string> => authenticator.authenticate(access).then(() => 'open', codeOf);

  async function account(): Promise<Credentials> {
    const username = `u-${newId()}`;
    const plain = { fullName: null, preferredRegion: null, isVerified: true, sole: false };
    const { id } = await credentials.create({ ...plain, username, email: `${username}@example.com`, passwordHash });
    const found = await credentials.find(id);
    if (!found) throw new Error('There is no account');
    return found;
  }

  async function signIn(found: Credentials): Promise<Device> {
    const { accessToken, refreshToken } = await sessions.open(found, NO_ORIGIN);
    const principal = await authenticator.authenticate(accessToken);
    const none = { successors: new Map<string, string>(), ended: false };
    return { ...none, id: principal.credential.id, principal, access: [accessToken], current: refreshToken };
  }

  async function refresh(one: Device, presented = one.current): Promise<string> {
    let pair: TokenPair;
    try {
      pair = await sessions.refresh(presented, NO_ORIGIN);
    } catch (error) {
      return codeOf(error);
    }
    one.access.push(pair.accessToken);
    // A lost answer asked for again is the same answer.
    const given = one.successors.get(presented);
    expect(given ?? pair.refreshToken).toBe(pair.refreshToken);
    one.successors.set(presented, pair.refreshToken);
    if (presented === one.current) one.current = pair.refreshToken;
    return 'refreshed';
  }

  /** What of the devices an act ends, if it succeeds. */
  async function run(step: Act, devices: Readonly<Record<'phone' | 'laptop', Device>>): Promise<void> {
    const { phone, laptop } = devices;
    const { userId } = phone.principal;
    const ending = async (ended: readonly Device[], work: Promise<unknown>): Promise<void> => {
      const outcome = await work.then(() => 'done', codeOf);
      if (outcome !== 'done') return;
      for (const one of ended) {
        one.ended = true;
        // At once: not when this is over.
        expect(await opens(one.access.at(-1) ?? '')).toBe('session_revoked');
      }
    };
    switch (step.kind) {
      case 'refresh':
        await refresh(devices[step.device]);
        return;
      case 'logout':
        return ending([devices[step.device]], sessions.end(userId, devices[step.device].id, 'session.ended', NO_ORIGIN));
      case 'revoke':
        return ending([devices[step.device]], sessions.end(userId, devices[step.device].id, 'session.revoked', NO_ORIGIN));
      case 'remove account':
        return ending([phone, laptop], accounts.removeOwn(phone.principal, PASSWORD, NO_ORIGIN));
      case 'deactivate':
        return ending([phone, laptop], accounts.changeOther(null, userId, { isActive: false }));
      case 'change password':
        return ending([laptop], accounts.changePassword(phone.principal, PASSWORD, `${PASSWORD}x`, NO_ORIGIN));
    }
  }

  /** What must hold of a device when everything is over. */
  async function judge(one: Device): Promise<void> {
    if (!one.ended) {
      const { successors } = one;
      const [oldest] = successors.keys();
      if ((await opens(one.access[0] ?? '')) !== 'open' || oldest === undefined) return;
      clock.push(GRACE_MS);
      // Whoever presents it now has a copy: the session ends, and no other.
      expect(await refresh(one, oldest)).toBe('refresh_reused');
    }
    const tokens = [one.current, ...[...one.successors.keys()].slice(0, 1)];
    const codes = await Promise.all([
      ...[one.access[0], one.access.at(-1)].map((token) => opens(token ?? '')),
      ...tokens.map((token) => refresh(one, token)),
    ]);
    expect(new Set(codes)).toEqual(new Set(['session_revoked']));
  }

  it('end for good, are revived by nobody, and give a lost answer again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { minLength: 2, maxLength: 5 }),
        fc.array(fc.nat(59), { minLength: 60, maxLength: 60 }),
        async (acts, choices) => {
          const found = await account();
          const devices = { phone: await signIn(found), laptop: await signIn(found) };
          await turns.all(
            acts.map((step) => () => run(step, devices)),
            choices,
          );
          await Promise.all([judge(devices.phone), judge(devices.laptop)]);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
