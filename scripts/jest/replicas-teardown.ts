import { type RedisServer } from '../../libs/shared-state/testing/redis-server';

export default async function tearDown(): Promise<void> {
  await (globalThis as { readonly replicasRedis?: RedisServer }).replicasRedis?.close();
}
