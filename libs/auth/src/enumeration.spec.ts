import { UsersService } from '@devpocket/users';
import { AuthApp } from '@testing/auth';
import mongoose from 'mongoose';
import { AsyncLocalStorage } from 'node:async_hooks';
import { EmailService } from './email.service';
import { LockoutService } from './lockout.service';
import { PasswordHasher } from './password-hasher';
import { PasswordResetService } from './password-reset.service';
import { SignInService } from './sign-in.service';

/** What an answer tells, and what it took: whoever can tell two of them apart knows whether there is an account. */
interface Trace {
  readonly status: number;
  readonly told: unknown;
  readonly headers: readonly string[];
  /** Reads and writes, and comparisons of passwords, in their order. */
  readonly work: readonly string[];
}

const WRONG = 'Wrong-Horse-7';

/** Times are looked at by `npm run show:enumeration`; what takes the same work is counted here. */
describe('whether there is an account', () => {
  let auth: AuthApp;
  /** Of the call that is traced: loops in the background are none of it. */
  const work = new AsyncLocalStorage<string[]>();
  let last: string[] = [];
  let userId: string;

  const wrap = (target: object, name: string, around: (run: () => unknown) => unknown): void => {
    const original: unknown = Reflect.get(target, name);
    if (typeof original !== 'function') throw new Error(`${name} is no method`);
    Reflect.set(target, name, (...args: unknown[]) => around(() => Reflect.apply(original, target, args) as unknown));
  };

  beforeAll(async () => {
    auth = await AuthApp.start();
    for (const [service, name] of [
      [SignInService, 'signIn'],
      [EmailService, 'forgot'],
      [EmailService, 'verify'],
      [PasswordResetService, 'reset'],
    ] as const)
      wrap(auth.app.get<object>(service), name, (run) => work.run((last = []), run));
    wrap(auth.app.get(PasswordHasher), 'matches', (run) => {
      work.getStore()?.push('a comparison');
      return run();
    });
    mongoose.set('debug', (collection: string, method: string) => work.getStore()?.push(`${collection}.${method}`));
    for (const name of ['known', 'locked', 'gone', 'whole']) await auth.register(name);
    const users = auth.app.get(UsersService);
    userId = (await users.findByName('known'))?.id ?? '';
    await users.changeAccount((await users.findByName('gone'))?.id ?? '', { isActive: false });
  });
  afterAll(async () => {
    mongoose.set('debug', false);
    await auth.close();
  });

  async function trace(path: string, body: object): Promise<Trace> {
    last = [];
    const { status, body: answer, headers } = await auth.call('POST', path, { body });
    const { request_id: _id, ...told } = answer;
    return { status, told, headers: [...headers.keys()].sort(), work: last };
  }
  const login = (name: string): Promise<Trace> => trace('/auth/login', { username_or_email: name, password: WRONG });

  it.each([
    ['nobody', 'nobody-at-all'],
    ['a deactivated account', 'gone'],
    ['an address that nobody has', 'nobody@example.com'],
  ])('is not told by a sign-in as %s', async (_who, name) => {
    await auth.app.get(LockoutService).clear({ userId });
    // The first one of a row opens it, the second one takes of it.
    const known = [await login('known'), await login('known')];
    expect([await login(name), await login(name)]).toEqual(known);
    expect(known[1]).toMatchObject({ status: 401, told: { code: 'invalid_credentials' } });
    for (const one of known) expect(one.work.length).toBeGreaterThan(3);
    for (const one of known) expect(one.work.filter((step) => step === 'a comparison')).toHaveLength(1);
  });

  it('is not told by a lock, neither when it begins nor while it lasts', async () => {
    const traces: Record<string, Trace[]> = { locked: [], unheard: [] };
    for (let n = 0; n < 7; n += 1) for (const [name, list] of Object.entries(traces)) list.push(await login(name));
    expect(traces.unheard).toEqual(traces.locked);
    expect(traces.locked?.map(({ told }) => (told as { code: string }).code)).toEqual([
      ...Array<string>(5).fill('invalid_credentials'),
      ...Array<string>(2).fill('account_locked'),
    ]);
  });

  it('is not told by a forgotten password', async () => {
    const known = await trace('/auth/forgot-password', { email: 'whole@example.com' });
    expect(known.status).toBe(202);
    for (const email of ['nobody@example.com', 'gone@example.com', 'WHOLE@example.com'])
      expect(await trace('/auth/forgot-password', { email })).toEqual(known);
  });

  it('is told by a registration, as the contract has it, and there alone', async () => {
    const body = { username: 'someone', email: 'known@example.com', password: 'Correct-Horse-7' };
    expect(await trace('/auth/register', body)).toMatchObject({ status: 400, told: { code: 'email_taken' } });
  });

  it('is not told by what asks for another mail: that needs a session', async () => {
    expect(await trace('/auth/resend-verification', {})).toMatchObject({
      status: 401,
      told: { code: 'token_missing' },
      work: [],
    });
  });

  it.each(['/auth/verify-email', '/auth/reset-password'])('is not told by a code for %s that is none', async (path) => {
    const code = (token: string): object => (path.endsWith('email') ? { token } : { token, new_password: 'Correct-Horse-8' });
    const traces = [await trace(path, code('A'.repeat(43))), await trace(path, code('x'))];
    expect(traces[0]).toMatchObject({ status: 400, told: { code: 'token_invalid' } });
    expect(traces[1]).toEqual(traces[0]);
  });
});
