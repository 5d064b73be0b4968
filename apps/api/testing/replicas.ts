import { SystemClock } from '@devpocket/kernel';
import { FakeDriver } from '@testing/runtime';
import { RedisServer } from '@testing/shared-state';
import mongoose from 'mongoose';
import { TestApi } from './index';

/** Servers in this process that share a database, a Redis and a runtime, as replicas do. */
export class Replicas {
  readonly redis = new RedisServer();
  readonly driver = new FakeDriver({ clock: new SystemClock() });
  readonly servers: TestApi[] = [];
  private readonly database = `replicas_${process.pid}_${Math.random().toString(36).slice(2, 10)}`;

  constructor(private readonly env: Readonly<Record<string, string>> = {}) {}

  async start(count: number): Promise<this> {
    await this.redis.start();
    for (let at = 0; at < count; at += 1) this.servers.push(await this.server().start());
    return this;
  }

  /** One of them; not started. */
  server(): TestApi {
    // A server that goes ends its way to the runtime, not the others'.
    const own = Object.assign(Object.create(this.driver) as FakeDriver, { close: () => Promise.resolve() });
    return new TestApi(() => [own], { DATABASE_NAME: this.database, REDIS_URL: this.redis.url, ...this.env });
  }

  at(index: number): TestApi {
    const server = this.servers[index % this.servers.length];
    if (!server) throw new Error('not started');
    return server;
  }

  async close(): Promise<void> {
    for (const server of this.servers) await server.close();
    await this.redis.close();
    const url = process.env.MONGODB_URL ?? '';
    const connection = await mongoose.createConnection(url, { dbName: this.database }).asPromise();
    await connection.dropDatabase();
    await connection.close();
  }
}
