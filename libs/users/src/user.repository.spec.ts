import { type PageCursor } from '@devpocket/kernel';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { type NewUser } from './user';
import { UserRepository } from './user.repository';
import { UserRecord, UserSchema } from './user.schema';

const newUser = (username: string, over: Partial<NewUser> = {}): NewUser => ({
  username,
  email: `${username}@example.com`,
  fullName: null,
  preferredRegion: null,
  passwordHash: 'hash',
  isVerified: true,
  sole: false,
  ...over,
});

describe('UserRepository', () => {
  let database: TestDatabase;
  let users: UserRepository;
  const clock = new ManualClock();
  beforeAll(async () => {
    database = await openTestDatabase();
    const model = database.connection.model(UserRecord.name, UserSchema);
    await model.createIndexes();
    users = new UserRepository(model, clock);
  });
  beforeEach(() => database.connection.model(UserRecord.name).deleteMany({}));
  afterAll(() => database.close());

  const insert = async (user: NewUser): Promise<string> => {
    const inserted = await users.insert(user);
    if (typeof inserted === 'string') throw new Error(inserted);
    return inserted.id;
  };

  it('gives a name to exactly one of many, whatever its case', async () => {
    const spellings = Array.from({ length: 40 }, (_, n) =>
      newUser(n % 2 === 0 ? 'Ada' : 'aDA', { email: `ada${n}@example.com` }),
    );
    const results = await Promise.all(spellings.map((user) => users.insert(user)));
    expect(results.filter((result) => result === 'username_taken')).toHaveLength(39);
    expect(await users.count()).toBe(1);
  });

  it('gives an address to exactly one of many, whatever its case', async () => {
    const spellings = Array.from({ length: 40 }, (_, n) => newUser(`user${n}`, { email: n % 2 === 0 ? 'A@b.co' : 'a@B.co' }));
    const results = await Promise.all(spellings.map((user) => users.insert(user)));
    expect(results.filter((result) => result === 'email_taken')).toHaveLength(39);
  });

  it('gives the sole place to one', async () => {
    const results = await Promise.all(['one', 'two', 'three'].map((name) => users.insert(newUser(name, { sole: true }))));
    expect(results.filter((result) => result === 'sole_taken')).toHaveLength(2);
    await insert(newUser('open'));
    expect(await users.insert(newUser('four', { sole: true }))).toBe('sole_taken');
  });

  it('tells which name is taken, the address first', async () => {
    await insert(newUser('ada'));
    expect(await users.taken('ADA', 'other@example.com')).toBe('username_taken');
    expect(await users.taken('other', 'ADA@example.com')).toBe('email_taken');
    expect(await users.taken('ada', 'ada@example.com')).toBe('email_taken');
    expect(await users.taken('other', 'other@example.com')).toBeNull();
  });

  it('finds by either name in any spelling, and by no other', async () => {
    const id = await insert(newUser('Ada'));
    for (const name of ['ada', ' ADA ', 'Ada@Example.com', 'ａｄａ']) expect((await users.findByName(name))?.user.id).toBe(id);
    for (const name of ['', 'adaa', 'ada@example.co', id]) expect(await users.findByName(name)).toBeNull();
    expect((await users.find(id))?.user.username).toBe('Ada');
    for (const unknown of ['f'.repeat(24), 'me', '']) expect(await users.find(unknown)).toBeNull();
  });

  it('pages through all, newest first, without a gap or a double', async () => {
    for (let n = 0; n < 7; n += 1) {
      await insert(newUser(`user${n}`));
      if (n % 2 === 1) clock.push(1000); // pairs of one instant: the id decides
    }
    const seen: string[] = [];
    let after: PageCursor | null = null;
    do {
      const page: Awaited<ReturnType<UserRepository['list']>> = await users.list({ limit: 2, after });
      expect(page.total).toBe(7);
      seen.push(...page.items.map((user) => user.username));
      after = page.next;
    } while (after !== null);
    expect(seen).toHaveLength(7);
    expect(new Set(seen).size).toBe(7);
    expect(seen[0]).toBe('user6');
    expect(new Set(seen.slice(-2))).toEqual(new Set(['user0', 'user1']));
  });

  it('replaces a password only while the verified one is still in force, and begins an epoch', async () => {
    const id = await insert(newUser('ada'));
    const epochs = await Promise.all(['a', 'b', 'c'].map((hash) => users.replacePassword(id, 'hash', hash)));
    expect(epochs.filter((epoch) => epoch !== null)).toEqual([1]);
    expect((await users.find(id))?.sessionEpoch).toBe(1);
    await users.rehash(id, 'hash', 'late');
    expect((await users.find(id))?.passwordHash).not.toBe('late');
  });

  it('begins an epoch with a deactivation, and with nothing else of an administrator', async () => {
    const id = await insert(newUser('ada'));
    await users.changeAccount(id, { plan: 'pro', isVerified: false });
    expect(await users.find(id)).toMatchObject({ sessionEpoch: 0, user: { plan: 'pro', role: 'user', isVerified: false } });
    await users.changeAccount(id, { isActive: false, plan: 'admin' });
    expect(await users.find(id)).toMatchObject({ sessionEpoch: 1, user: { isActive: false, role: 'admin' } });
    await users.changeAccount(id, { isActive: true, plan: 'free' });
    expect(await users.find(id)).toMatchObject({ sessionEpoch: 1, user: { isActive: true, role: 'user' } });
    await users.changeAccount(id, { role: 'admin' });
    expect(await users.find(id)).toMatchObject({ user: { plan: 'free', role: 'admin' } });
    expect(await users.changeAccount('f'.repeat(24), { plan: 'pro' })).toBeNull();
  });

  it('changes a profile, an address only to a free one', async () => {
    await insert(newUser('grace'));
    const id = await insert(newUser('ada'));
    expect(await users.changeProfile(id, { email: 'GRACE@example.com' })).toBe('email_taken');
    expect(await users.changeProfile(id, { fullName: 'Ada L', email: 'ADA@example.com' })).toMatchObject({
      fullName: 'Ada L',
      email: 'ADA@example.com',
    });
    expect(await users.changeProfile(id, { fullName: null, preferredRegion: 'eu-central' })).toMatchObject({
      fullName: null,
      preferredRegion: 'eu-central',
      email: 'ADA@example.com',
    });
    expect(await users.changeProfile(id, {})).toMatchObject({ id });
  });

  it('never moves the last sign-in back', async () => {
    const id = await insert(newUser('ada'));
    const later = new Date(clock.millis() + 1000);
    await users.recordLogin(id, later);
    await users.recordLogin(id, clock.now());
    expect((await users.find(id))?.user.lastLogin).toEqual(later);
  });

  it('begins an epoch of identities with a password that is set without the one before', async () => {
    const id = await insert(newUser('ada'));
    await users.replacePassword(id, 'hash', 'next');
    expect(await users.find(id)).toMatchObject({ identityEpoch: 0, emailProven: false });
    await users.resetPassword(id, 'ADA@example.com', 'reset');
    expect(await users.find(id)).toMatchObject({ identityEpoch: 1, emailProven: true });
    await users.setPassword(id, 'set');
    expect(await users.find(id)).toMatchObject({ identityEpoch: 2 });
  });

  it("proves an account's own address, once", async () => {
    const id = await insert(newUser('ada', { isVerified: false }));
    expect(await users.proveOwnEmail(id, 'other@example.com')).toBe(false);
    expect(await users.proveOwnEmail(id, 'ADA@example.com')).toBe(true);
    expect(await users.proveOwnEmail(id, 'ada@example.com')).toBe(false);
    expect(await users.find(id)).toMatchObject({ emailProven: true, user: { isVerified: true } });
  });

  it('takes back only what nobody can have used', async () => {
    const proven = { passwordHash: null, emailProven: true };
    const [fresh, used, own] = [
      await insert(newUser('fresh', proven)),
      await insert(newUser('used', proven)),
      await insert(newUser('own')),
    ];
    await users.recordLogin(used, clock.now());
    for (const id of [fresh, used, own]) await users.withdraw(id);
    expect([await users.find(fresh), await users.find(used), await users.find(own)]).toEqual([
      null,
      expect.objectContaining({ emailProven: true }),
      expect.objectContaining({ emailProven: false }),
    ]);
  });

  it('begins the removal of an account without a password while it still has none', async () => {
    const id = await insert(newUser('ada', { passwordHash: null }));
    expect(await users.beginRemoval(id, 'hash')).toBe(false);
    expect(await users.beginRemoval(id, null)).toBe(true);
    const late = await insert(newUser('late', { passwordHash: null }));
    await users.setPassword(late, 'hash');
    expect(await users.beginRemoval(late, null)).toBe(false);
  });
});
