import { isRecord } from '@devpocket/client';
import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { eventually, PASSWORD, tally, TestApi } from '../testing';

const times = <T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => call(index)));

describe('in parallel', () => {
  const api = new TestApi(() => [new FakeDriver({ clock: new SystemClock() })]);
  beforeAll(() => api.start());
  afterAll(() => api.close());

  it('100 registrations of one name make one account', async () => {
    const answers = await times(100, (index) =>
      api.call('POST', '/auth/register', {
        body: { username: index % 2 ? 'Racer' : 'racer', email: `racer${index}@example.com`, password: PASSWORD },
      }),
    );
    expect(tally(answers)).toEqual({ '201': 1, '400 username_taken': 99 });
  });

  it('100 creates at limit 1 make one environment', async () => {
    const user = await api.user('creator');
    const answers = await times(100, (index) =>
      api.call('POST', '/environments', { token: user.token, body: { name: `env-${index}`, template: 'ubuntu' } }),
    );
    expect(tally(answers)).toEqual({ '201': 1, '403 environment_limit_reached': 99 });
    expect(await user.client.environments()).toHaveLength(1);
  });

  it('100 creates under one Idempotency-Key make one environment and one answer', async () => {
    const user = await api.user('repeater');
    const answers = await times(100, () =>
      api.call('POST', '/environments', {
        token: user.token,
        body: { name: 'once', template: 'ubuntu' },
        headers: { 'idempotency-key': 'the-key' },
      }),
    );
    expect(tally(answers)).toEqual({ '201': 100 });
    expect(new Set(answers.map(({ body }) => isRecord(body) && body.id)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(99);
    const other = await api.call('POST', '/environments', {
      token: user.token,
      body: { name: 'other', template: 'ubuntu' },
      headers: { 'idempotency-key': 'the-key' },
    });
    expect([other.status, isRecord(other.body) && other.body.code]).toEqual([422, 'idempotency_mismatch']);
  });

  it('100 starts of three stopped environments at limit 1 start one', async () => {
    const user = await api.user('starter');
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      const { body } = await api.call('POST', '/environments', { token: user.token, body: { name, template: 'ubuntu' } });
      const id = isRecord(body) ? String(body.id) : '';
      ids.push(id);
      await api.call('POST', `/environments/${id}/stop`, { token: user.token });
      await eventually(async () => (await user.client.environment(id)).status === 'stopped');
    }
    const answers = await times(100, (index) =>
      api.call('POST', `/environments/${ids[index % 3] ?? ''}/start`, { token: user.token }),
    );
    const counts = tally(answers);
    expect(Object.keys(counts).sort()).toEqual(['200', '403 environment_limit_reached']);
    const active = (await user.client.environments()).filter(({ status }) => status !== 'stopped');
    expect(active).toHaveLength(1);
    // Every start of the one that got the place is a success, of the others a refusal.
    const winner = ids.indexOf(active[0]?.id ?? '');
    expect(answers.map(({ status }, index) => status === 200 && index % 3 !== winner).filter(Boolean)).toEqual([]);
  });

  it('20 wrong passwords are five guesses', async () => {
    await api.user('guarded');
    const answers = await times(20, () =>
      api.call('POST', '/auth/login', { body: { username_or_email: 'guarded', password: 'Wrong-horse-1' } }),
    );
    expect(tally(answers)).toEqual({ '401 invalid_credentials': 5, '401 account_locked': 15 });
    const right = await api.call('POST', '/auth/login', {
      body: { username_or_email: 'Guarded@Example.com', password: PASSWORD },
    });
    expect(tally([right])).toEqual({ '401 account_locked': 1 });
  });

  it('20 wrong passwords for a name that nobody has look the same', async () => {
    const answers = await times(20, () =>
      api.call('POST', '/auth/login', { body: { username_or_email: 'nobody', password: 'Wrong-horse-1' } }),
    );
    expect(tally(answers)).toEqual({ '401 invalid_credentials': 5, '401 account_locked': 15 });
  });
});
