import { setTimeout as delay } from 'node:timers/promises';
import { RedisServer } from '../../libs/shared-state/testing/redis-server';

/** A Redis that has just begun gives nothing away. */
const WARM_MS = 6_000;

/** One Redis for all specs: each installation has its own part of it. */
export default async function setUp(): Promise<void> {
  if (!process.env.MONGODB_URL) throw new Error('MONGODB_URL names no database that several servers can share');
  const redis = await new RedisServer().start();
  process.env.DEVPOCKET_TEST_REDIS = redis.url;
  Object.assign(globalThis, { replicasRedis: redis });
  await delay(WARM_MS);
}
