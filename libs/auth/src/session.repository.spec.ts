import { newId } from '@devpocket/kernel';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { type Session } from './session.machine';
import { SessionRepository } from './session.repository';
import { SessionRecord, SessionSchema } from './session.schema';

const NOW = new Date();
const LATER = new Date(NOW.getTime() + 3_600_000);

describe('SessionRepository', () => {
  let database: TestDatabase;
  let sessions: SessionRepository;
  beforeAll(async () => {
    database = await openTestDatabase();
    const model = database.connection.model(SessionRecord.name, SessionSchema);
    await model.createIndexes();
    sessions = new SessionRepository(model);
  });
  afterAll(() => database.close());

  const begin = async (over: Partial<Session> = {}): Promise<Session> => {
    const session: Session = {
      id: newId(NOW),
      userId: newId(NOW),
      epoch: 0,
      currentHash: 'one',
      method: 'google',
      priorHash: null,
      rotatedAt: null,
      userAgent: 'Phone/1.0',
      ip: '192.0.2.1',
      createdAt: NOW,
      lastUsedAt: NOW,
      expiresAt: LATER,
      ...over,
    };
    await sessions.insert(session);
    return session;
  };
  const rotation = (from: string, to: string) => ({ from, to, at: LATER, expiresAt: LATER, userAgent: null, ip: null });

  it('reads what it wrote', async () => {
    const session = await begin();
    expect(await sessions.find(session.id)).toEqual(session);
    expect(await sessions.find(newId())).toBeNull();
  });

  it('rotates from the current token only', async () => {
    const { id } = await begin();
    expect(await sessions.rotate(id, rotation('one', 'two'))).toBe(true);
    expect(await sessions.rotate(id, rotation('two', 'three'))).toBe(true);
    for (const stale of ['one', 'two', 'other']) expect(await sessions.rotate(id, rotation(stale, 'four'))).toBe(false);
    expect(await sessions.find(id)).toMatchObject({ currentHash: 'three', priorHash: 'two', rotatedAt: LATER });
  });

  it('replays only while the successor was not presented', async () => {
    const { id } = await begin();
    await sessions.rotate(id, rotation('one', 'two'));
    expect(await sessions.replay(id, 'two', 'one', LATER)).toBe(true);
    await sessions.rotate(id, rotation('two', 'three'));
    expect(await sessions.replay(id, 'two', 'one', LATER)).toBe(false);
    expect(await sessions.replay(id, 'three', 'one', LATER)).toBe(false);
  });

  it('revives nothing that has ended', async () => {
    const { id, userId } = await begin();
    expect(await sessions.remove(newId(), id)).toBe(false);
    expect(await sessions.remove(userId, id)).toBe(true);
    expect(await sessions.remove(userId, id)).toBe(false);
    expect(await sessions.rotate(id, rotation('one', 'two'))).toBe(false);
    expect(await sessions.replay(id, 'one', 'one', LATER)).toBe(false);
    await sessions.carryOver(userId, id, 1);
    expect(await sessions.find(id)).toBeNull();
  });

  it('ends what began before an epoch, but what was carried over', async () => {
    const userId = newId();
    const [kept, old, other] = [await begin({ userId }), await begin({ userId }), await begin()];
    await sessions.carryOver(userId, kept.id, 2);
    await sessions.carryOver(newId(), old.id, 2);
    expect(await sessions.removeBefore(userId, 2)).toEqual([old.id]);
    expect(await sessions.removeBefore(userId, 2)).toEqual([]);
    expect(await sessions.find(kept.id)).toMatchObject({ epoch: 2 });
    expect(await sessions.find(other.id)).toMatchObject({ epoch: 0 });
  });

  it('lists the living ones of one user and epoch, newest first', async () => {
    const userId = newId();
    const at = (ms: number): Partial<Session> => ({ userId, createdAt: new Date(NOW.getTime() + ms) });
    const first = await begin(at(1));
    await begin({ ...at(2), epoch: 1 });
    await begin({ ...at(3), expiresAt: NOW });
    await begin({ createdAt: new Date(NOW.getTime() + 4) });
    const last = await begin(at(5));
    const page = await sessions.list(userId, 0, NOW, { limit: 1, after: null });
    expect([page.total, page.items.map(({ id }) => id)]).toEqual([2, [last.id]]);
    const next = await sessions.list(userId, 0, NOW, { limit: 1, after: page.next });
    expect([next.next, next.items.map(({ id }) => id)]).toEqual([null, [first.id]]);
  });
});
