import { openTestDatabase, type TestDatabase } from '@testing/database';
import { Schema } from 'mongoose';
import { ensureIndexes, lookAtIndexes } from './indexes';

describe('indexes', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await openTestDatabase();
    const schema = new Schema({ a: Number, b: Number }, { collection: 'indexed', autoIndex: false, autoCreate: false });
    schema.index({ a: 1, b: -1 });
    schema.index({ b: 1 }, { name: 'by b', unique: true });
    database.connection.model('Indexed', schema);
  });
  afterAll(() => database.close());

  it('are made once, and what nobody asked for is told and left', async () => {
    const all = ['_id_', 'a_1_b_-1', 'by b'];
    expect(await lookAtIndexes(database.connection)).toEqual([{ collection: 'indexed', missing: all.slice(1), unexpected: [] }]);
    expect(await ensureIndexes(database.connection)).toEqual([{ collection: 'indexed', made: all, kept: [], unexpected: [] }]);
    await database.connection.collection('indexed').createIndex({ a: 1 }, { name: 'own' });
    const steps: string[] = [];
    expect(await ensureIndexes(database.connection, (done, total) => steps.push(`${done}/${total}`))).toEqual([
      { collection: 'indexed', made: [], kept: all, unexpected: ['own'] },
    ]);
    expect(await lookAtIndexes(database.connection)).toEqual([{ collection: 'indexed', missing: [], unexpected: ['own'] }]);
    expect(steps).toEqual(['1/1']);
  });
});
