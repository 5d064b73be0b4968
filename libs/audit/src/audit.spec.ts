import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { AuditRecord, AuditSchema } from './audit-entry.schema';
import { type AuditEntry, type AuditFilter } from './audit-entry';
import { AuditTrail } from './audit-trail';
import { AuditRepository } from './audit.repository';

describe('AuditTrail', () => {
  let database: TestDatabase;
  let trail: AuditTrail;
  const clock = new ManualClock(Date.now());
  beforeAll(async () => {
    database = await openTestDatabase();
    const model = database.connection.model(AuditRecord.name, AuditSchema);
    await model.createIndexes();
    trail = new AuditTrail(new AuditRepository(model), clock);
  });
  afterAll(() => database.close());

  it('appends what was done, by whom, to what, and when', async () => {
    const by = { actor: 'a'.repeat(24), ip: '192.0.2.1', requestId: 'request-1' };
    await trail.record({
      ...by,
      action: 'user.changed',
      target: `user:${'b'.repeat(24)}`,
      result: 'success',
      details: { plan: 'pro' },
    });
    await trail.record({ actor: null, action: 'session.started', target: null, result: 'failure', ip: null, requestId: null });
    const entries = await database.connection
      .collection('audit_entries')
      .find({}, { projection: { _id: 0 } })
      .toArray();
    const at = clock.now();
    expect(entries).toEqual([
      {
        at,
        actor: 'a'.repeat(24),
        account: 'b'.repeat(24),
        action: 'user.changed',
        target: `user:${'b'.repeat(24)}`,
        result: 'success',
        ip: '192.0.2.1',
        request_id: 'request-1',
        details: { plan: 'pro' },
      },
      {
        at,
        actor: null,
        account: null,
        action: 'session.started',
        target: null,
        result: 'failure',
        ip: null,
        request_id: null,
        details: null,
      },
    ]);
  });

  it('is searched by every part, newest first, a page at a time', async () => {
    const [one, two] = ['1'.repeat(24), '2'.repeat(24)];
    const entry = (actor: string | null, action: string, target: string, details = {}): AuditEntry => {
      clock.push(1000);
      return { actor, action, target, result: 'success', ip: null, requestId: null, details };
    };
    clock.push(1000);
    const begun = clock.now();
    await trail.record(entry(one, 'thing.made', 'thing:1'));
    const middle = new Date(clock.millis() + 500);
    await trail.record(entry(null, 'session.refresh_reused', 'session:9', { user: one }));
    await trail.record(entry(two, 'user.changed', `user:${one}`));
    await trail.record(entry(two, 'thing.made', 'thing:1'));
    const found = async (filter: AuditFilter, limit = 50): Promise<readonly string[]> => {
      const actions: string[] = [];
      let page = await trail.search(filter, { limit, after: null });
      for (;;) {
        actions.push(...page.items.map(({ action }) => action));
        if (!page.next) return [...actions, String(page.total)];
        page = await trail.search(filter, { limit, after: page.next });
      }
    };
    const own = ['user.changed', 'session.refresh_reused', 'thing.made', '3'];
    expect(await found({ account: one })).toEqual(own);
    expect(await found({ account: one }, 1)).toEqual(own);
    expect(await found({ account: two })).toEqual(['thing.made', '1']);
    expect(await found({ actor: two })).toEqual(['thing.made', 'user.changed', '2']);
    expect(await found({ action: 'thing.made', target: 'thing:1' })).toEqual(['thing.made', 'thing.made', '2']);
    expect(await found({ action: 'thing.made', from: middle })).toEqual(['thing.made', '1']);
    expect(await found({ from: begun, to: middle })).toEqual(['thing.made', '1']);
    expect(await found({ from: middle }, 2)).toEqual(['thing.made', 'user.changed', 'session.refresh_reused', '3']);
  });

  it('is kept for 180 days', async () => {
    const indexes = await database.connection.collection('audit_entries').indexes();
    expect(indexes.find(({ expireAfterSeconds }) => expireAfterSeconds !== undefined)).toMatchObject({
      key: { at: 1 },
      expireAfterSeconds: 15_552_000,
    });
  });
});
