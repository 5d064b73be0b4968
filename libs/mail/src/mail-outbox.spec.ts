import { Logger } from '@nestjs/common';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { FakeTransport, testOutbox } from '../testing';
import { type Mail, MailRefusedError } from './mail';
import { type MailOutbox } from './mail-outbox';

const MAIL: Mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello', html: '<p>Hello</p>' };
const HOUR_MS = 3_600_000;

describe('the outbox', () => {
  beforeAll(() => {
    Logger.overrideLogger(false);
  });
  let database: TestDatabase;
  let clock: ManualClock;
  let transport: FakeTransport;
  let outbox: MailOutbox;
  beforeEach(async () => {
    database = await openTestDatabase();
    clock = new ManualClock();
    transport = new FakeTransport();
    outbox = testOutbox(database.connection, clock, transport);
  });
  afterEach(() => database.close());
  const waiting = (): Promise<number> => database.connection.collection('mails').countDocuments({});
  const drain = async (): Promise<void> => {
    while (await outbox.turn());
  };

  it('sends what was put, once, written from its facts', async () => {
    outbox.join('hello', ({ name = '' }) => Promise.resolve({ ...MAIL, subject: `Hello ${name}` }));
    await outbox.put('hello', { name: 'Ada' });
    await outbox.put('hello', { name: 'Bob' });
    expect([transport.sent.length, await waiting()]).toEqual([0, 2]);
    await drain();
    expect(transport.sent.map(({ subject }) => subject).sort()).toEqual(['Hello Ada', 'Hello Bob']);
    expect(await waiting()).toBe(0);
    expect(() => outbox.join('hello', () => Promise.resolve(null))).toThrow(/Two write/);
  });

  it('sends nothing that has become pointless', async () => {
    outbox.join('hello', () => Promise.resolve(null));
    await outbox.put('hello', {});
    await drain();
    expect([transport.sent, await waiting()]).toEqual([[], 0]);
  });

  it('tries again, later and later, while the server is dead, and gives up after three days', async () => {
    let written = 0;
    outbox.join('hello', () => Promise.resolve({ ...MAIL, subject: `Try ${(written += 1)}` }));
    transport.failure = new Error('connect ECONNREFUSED');
    await outbox.put('hello', {});
    const tries: number[] = [];
    const begun = clock.millis();
    while (clock.millis() - begun < 2 * HOUR_MS) {
      const before = written;
      await drain();
      if (written > before) tries.push((clock.millis() - begun) / 1000);
      clock.push(15_000);
    }
    expect(tries).toEqual([0, 15, 45, 105, 225, 465, 945, 1905, 3825]);
    transport.failure = null;
    clock.push(HOUR_MS);
    await drain();
    expect([transport.sent.map(({ subject }) => subject), await waiting()]).toEqual([['Try 10'], 0]);

    transport.failure = new Error('connect ECONNREFUSED');
    await outbox.put('hello', {});
    for (let hours = 0; hours < 74; hours += 1) {
      await drain();
      clock.push(HOUR_MS);
    }
    expect([written > 60, await waiting()]).toEqual([true, 0]);
  });

  it('gives a receiver up that the server refuses, and what nobody writes only later', async () => {
    outbox.join('hello', () => Promise.resolve(MAIL));
    transport.failure = new MailRefusedError('550 no such user');
    await outbox.put('hello', {});
    await outbox.put('unknown', {});
    await drain();
    expect(
      await database.connection
        .collection('mails')
        .find({}, { projection: { _id: 0, kind: 1, tries: 1 } })
        .toArray(),
    ).toEqual([{ kind: 'unknown', tries: 1 }]);
  });

  it('leaves a mail to one of several that send, and takes it up again when that one died', async () => {
    outbox.join('hello', () => Promise.resolve(MAIL));
    const others = Array.from({ length: 4 }, () => testOutbox(database.connection, clock, transport));
    for (const other of others) other.join('hello', () => Promise.resolve(MAIL));
    for (let count = 0; count < 10; count += 1) await outbox.put('hello', {});
    await Promise.all(
      [outbox, ...others].map(async (one) => {
        while (await one.turn());
      }),
    );
    expect(transport.sent).toHaveLength(10);

    const dying = testOutbox(database.connection, clock, transport);
    let taken: () => void = () => undefined;
    const composing = new Promise<void>((resolve) => (taken = resolve));
    dying.join('hello', () => {
      taken();
      return new Promise(() => undefined);
    });
    await outbox.put('hello', {});
    void dying.turn();
    await composing;
    await drain();
    expect(transport.sent).toHaveLength(10);
    clock.push(120_000);
    await drain();
    expect(transport.sent).toHaveLength(11);
  });
});
