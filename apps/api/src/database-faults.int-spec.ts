import { ApiError, isRecord } from '@devpocket/client';
import { setTimeout as delay } from 'node:timers/promises';
import { TcpRelay } from '../../../scripts/show/tcp-relay';
import { eventually, localDrivers, TestApi, type TestUser } from '../testing';

/** How long the database is away; 30 is what an operator's failover may take. */
const SECONDS = Number(process.env.DATABASE_AWAY_SECONDS ?? 6);
/** The monitor notices within ten, and a request then waits five. */
const LONGEST_MS = 16_000;
const READY_MS = 12_000;

interface Answered {
  readonly status: number;
  readonly code: string | null;
  readonly retryAfter: number | null;
  readonly ms: number;
}

describe('a database that goes away', () => {
  const { hostname, port } = new URL(process.env.MONGODB_URL ?? 'mongodb://MONGODB_URL-is-not-set');
  const relay = new TcpRelay('127.0.0.1', { host: hostname, port: Number(port || 27017) });
  let api: TestApi;
  let user: TestUser;
  let created = 0;
  let before: readonly string[] = [];

  beforeAll(async () => {
    await relay.start();
    const url = `mongodb://${relay.address}/?directConnection=true`;
    api = new TestApi(localDrivers, { MONGODB_URL: url, RATE_LIMIT_ENABLED: 'false', METRICS_TOKEN: 'm'.repeat(16) });
    await api.start();
    user = await api.administrator('ada');
    before = await running();
    expect(before.length).toBeGreaterThan(3);
  });
  afterAll(async () => {
    relay.thaw();
    await api.close();
    await relay.stop();
  });

  async function ask(method: string, path: string, body?: unknown, key?: string): Promise<Answered> {
    const begun = performance.now();
    const headers = key === undefined ? {} : { 'idempotency-key': key };
    const answer = await api.call(method, path, { token: user.token, headers, ...(body === undefined ? {} : { body }) });
    const problem = isRecord(answer.body) ? answer.body : {};
    const retryAfter = answer.headers.get('retry-after');
    return {
      status: answer.status,
      code: typeof problem.code === 'string' ? problem.code : null,
      retryAfter: retryAfter === null ? null : Number(retryAfter),
      ms: performance.now() - begun,
    };
  }

  const isReady = async (): Promise<boolean> => (await api.call('GET', '//health/ready')).status === 200;

  /** The background work that is going on, by name. */
  async function running(): Promise<readonly string[]> {
    const { body } = await api.call('GET', '//health/ready');
    const loops = isRecord(body) && Array.isArray(body.background) ? (body.background as Record<string, unknown>[]) : [];
    return loops.filter((loop) => loop.running === true).map(({ name }) => String(name));
  }

  /** Reads and creates without a pause until told; each create is asked again under its key until it is answered for good. */
  function crowd(): { readonly stop: () => Promise<readonly Answered[]> } {
    const answers: Answered[] = [];
    let over = false;
    const readers = Array.from({ length: 4 }, async () => {
      while (!over) {
        answers.push(await ask('GET', '/environments'));
        await delay(50);
      }
    });
    const makers = Array.from({ length: 2 }, async () => {
      while (!over) {
        created += 1;
        const [name, key] = [`made-${created}`, `key-${created}`];
        let answer: Answered;
        do {
          answer = await ask('POST', '/environments', { name, template: 'ubuntu' }, key);
          answers.push(answer);
          if (answer.status !== 201) await delay(200);
        } while (answer.status === 503 || answer.status === 409);
        await delay(300);
      }
    });
    return {
      stop: async () => {
        over = true;
        await Promise.all([...readers, ...makers]);
        return answers;
      },
    };
  }

  /** Every create is there once, whole; the counts agree; what is begun is gone on with. */
  async function nothingIsHalfWritten(): Promise<void> {
    const list = (await user.client.request('GET', '/environments?limit=100')) as readonly { id: string; name: string }[];
    const names = list.map(({ name }) => name).sort();
    expect(names).toEqual(Array.from({ length: created }, (_, at) => `made-${at + 1}`).sort());
    const allowance = await user.client.request('GET', '/users/me/allowance');
    const limits = isRecord(allowance) && Array.isArray(allowance.limits) ? (allowance.limits as Record<string, unknown>[]) : [];
    expect(limits.map(({ name, used }) => [name, used])).toEqual(
      expect.arrayContaining([[expect.stringMatching(/kept/), created]]),
    );
    for (const { id } of list) await eventually(async () => (await user.client.environment(id)).status === 'running', 30_000);
  }

  it.each([
    ['is cut off', () => relay.stop(), () => relay.start()],
    ['swallows everything', () => Promise.resolve(relay.freeze()), () => Promise.resolve(relay.thaw())],
  ])(
    `and ${'%s'} for ${SECONDS} s is waited for or answered for with 503, and back without a restart`,
    async (_how, away, back) => {
      expect(await isReady()).toBe(true);
      const asking = crowd();
      await delay(500);
      await away();
      const begun = performance.now();
      await eventually(async () => !(await isReady()), 5_000);
      const noticed = performance.now() - begun;
      // The process is alive, and tells what it does without.
      expect((await api.call('GET', '//health/live')).status).toBe(200);
      const scraped = await api.call('GET', '//metrics', { token: 'm'.repeat(16) });
      expect(String(scraped.body)).toMatch(/^devpocket_health\{check="database"\} 0$/m);
      await delay(Math.max(0, SECONDS * 1_000 - (performance.now() - begun)));
      await back();
      const returned = performance.now();
      await eventually(isReady, READY_MS);
      const ready = performance.now() - returned;
      await delay(500);
      const answers = await asking.stop();
      const refused = answers.filter(({ status }) => status === 503);
      const figures = {
        not_ready_after_ms: Math.round(noticed),
        ready_again_after_ms: Math.round(ready),
        answered: answers.length - refused.length,
        refused: refused.length,
        longest_ms: Math.round(Math.max(...answers.map(({ ms }) => ms))),
      };
      process.stdout.write(`the database away for ${SECONDS} s: ${JSON.stringify(figures)}\n`);
      // Nothing but success, and 503 with the time to come back.
      expect([...new Set(answers.map(({ status, code }) => `${status} ${code ?? ''}`.trim()))].sort()).toEqual(
        expect.arrayContaining(['200', '201']),
      );
      expect(
        answers.filter(
          ({ status, code }) => ![200, 201].includes(status) && code !== 'unavailable' && code !== 'idempotency_in_progress',
        ),
      ).toEqual([]);
      for (const { code, retryAfter } of refused) expect([code, retryAfter]).toEqual(['unavailable', 5]);
      expect(figures.longest_ms).toBeLessThan(LONGEST_MS);
      await nothingIsHalfWritten();
    },
    (SECONDS + 60) * 1_000,
  );

  it('leaves every background work going on', async () => {
    expect(await running()).toEqual(before);
    const [one] = (await user.client.request('GET', '/environments?limit=1')) as readonly { id: string }[];
    await user.client.request('POST', `/environments/${one?.id}/stop`);
    await eventually(async () => (await user.client.environment(one?.id ?? '')).status === 'stopped');
    await expect(user.client.environment('0'.repeat(24))).rejects.toBeInstanceOf(ApiError);
  });
});
