import { AuditTrail } from '@devpocket/audit';
import { ClusterSettings, type Settings, SettingsModule } from '@devpocket/config';
import { HealthRegistry } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { ClusterInspector } from '@devpocket/runtime';
import { type Abstract, type DynamicModule, Global, type INestApplicationContext, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getConnectionToken, MongooseModule } from '@nestjs/mongoose';
import { testSettings } from '@testing/config';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { FakeClusterInspector, kubeConfig } from '@testing/runtime';
import { type Connection } from 'mongoose';
import { tmpdir } from 'node:os';
import {
  type Amounts,
  type ClusterActor,
  type ClusterAddition,
  ClusterHealthService,
  ClustersModule,
  ClusterUsageRegistry,
  ClusterUsageSource,
  DEFAULT_MAX_ENVIRONMENTS,
  DEFAULT_OPTIONS,
} from '../src';
import { ClusterDefaultRepository } from '../src/cluster-default.repository';
import { ClusterUpkeep } from '../src/cluster-upkeep';
import { ClusterRepository } from '../src/cluster.repository';

@Global()
@Module({})
class GivenModule {}

@Module({})
class WorldModule {}

/** What a test says is where. */
export class FakeClusterUsage extends ClusterUsageSource {
  readonly environments = new Map<string, number>();
  readonly limits = new Map<string, Amounts>();

  counts(): Promise<ReadonlyMap<string, number>> {
    return Promise.resolve(new Map(this.environments));
  }

  activeLimits(): Promise<ReadonlyMap<string, Amounts>> {
    return Promise.resolve(new Map(this.limits));
  }
}

/** The clusters of a server, on a database of their own, with time and turns in the test's hand. */
export class ClustersWorld {
  readonly clock = new ManualClock(Date.now());
  readonly inspector = new FakeClusterInspector();
  readonly usage = new FakeClusterUsage();
  private readonly apps: INestApplicationContext[] = [];

  private constructor(readonly database: TestDatabase) {}

  static async open(settings: Settings = testSettings({ DATA_DIR: tmpdir() })): Promise<ClustersWorld> {
    const world = new ClustersWorld(await openTestDatabase());
    await world.restart(settings);
    return world;
  }

  /** Another process on the same database, with settings of its own. */
  async restart(settings: Settings, inspector: ClusterInspector | null = this.inspector): Promise<void> {
    const { clock, database } = this;
    const given: DynamicModule = {
      module: GivenModule,
      providers: [
        { provide: Clock, useValue: clock },
        { provide: ClusterInspector, useValue: inspector },
      ],
      exports: [Clock, ClusterInspector],
    };
    const module: DynamicModule = {
      module: WorldModule,
      imports: [
        SettingsModule.forRoot(settings),
        given,
        MongooseModule.forRoot(database.url, { dbName: database.name, autoIndex: false, autoCreate: false }),
        ClustersModule,
      ],
    };
    const app = await NestFactory.createApplicationContext(module, { logger: false });
    for (const model of Object.values(app.get<Connection>(getConnectionToken()).models)) await model.createIndexes();
    app.get(ClusterUsageRegistry).join(this.usage);
    this.apps.push(app);
  }

  /** A provider of the process that was started last. */
  get<T>(type: Abstract<T> | Type<T>): T {
    const app = this.apps.at(-1);
    if (!app) throw new Error('Nothing was started');
    return app.get<T>(type, { strict: false });
  }

  /** Made, not started: its loop is turned by hand. */
  upkeep(): ClusterUpkeep {
    return new ClusterUpkeep(
      this.get(ClusterRepository),
      this.get(ClusterDefaultRepository),
      this.get(ClusterSettings),
      this.get(AuditTrail),
      this.get(ClusterHealthService),
      this.clock,
      new HealthRegistry(),
      this.inspector,
    );
  }

  async clear(): Promise<void> {
    this.usage.environments.clear();
    this.usage.limits.clear();
    this.inspector.readings.clear();
    this.inspector.measured.length = 0;
    for (const name of ['clusters', 'cluster_defaults', 'audit_entries'])
      await this.database.connection.collection(name).deleteMany({});
  }

  async close(): Promise<void> {
    for (const app of this.apps) await app.close();
    await this.database.close();
  }
}

export const SOMEBODY: ClusterActor = { userId: 'a'.repeat(24), ip: '192.0.2.1', requestId: 'request-1' };

/** A cluster to add. */
export function addition(name: string, more: Partial<ClusterAddition> = {}): ClusterAddition {
  return {
    name,
    region: 'us-east',
    kubeConfig: kubeConfig(),
    endpoint: null,
    description: null,
    isDefault: false,
    maxEnvironments: DEFAULT_MAX_ENVIRONMENTS,
    options: DEFAULT_OPTIONS,
    ...more,
  };
}
