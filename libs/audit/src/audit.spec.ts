import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { AuditRecord, AuditSchema } from './audit-entry.schema';
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
    await trail.record({ ...by, action: 'user.changed', target: 'user:b', result: 'success', details: { plan: 'pro' } });
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
        action: 'user.changed',
        target: 'user:b',
        result: 'success',
        ip: '192.0.2.1',
        request_id: 'request-1',
        details: { plan: 'pro' },
      },
      {
        at,
        actor: null,
        action: 'session.started',
        target: null,
        result: 'failure',
        ip: null,
        request_id: null,
        details: null,
      },
    ]);
  });

  it('is kept for 180 days', async () => {
    const indexes = await database.connection.collection('audit_entries').indexes();
    expect(indexes.find(({ expireAfterSeconds }) => expireAfterSeconds !== undefined)).toMatchObject({
      key: { at: 1 },
      expireAfterSeconds: 15_552_000,
    });
  });
});
