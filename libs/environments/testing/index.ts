import {
  AccessModule,
  Authenticator,
  concerns,
  type CredentialRef,
  type Plan,
  type Principal,
  type Revocation,
  SCOPES,
} from '@devpocket/access';
import { SettingsModule } from '@devpocket/config';
import { Installation } from '@devpocket/database';
import { HttpModule } from '@devpocket/http';
import { Clock, DomainError, newId, type Region } from '@devpocket/kernel';
import { ClusterInspector, type RuntimeKind, RuntimeRegistry } from '@devpocket/runtime';
import { SharedStateModule } from '@devpocket/shared-state';
import { TemplatesService } from '@devpocket/templates';
import { type DynamicModule, Global, type INestApplication, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getConnectionToken, MongooseModule } from '@nestjs/mongoose';
import { testSettings } from '@testing/config';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { FakeClusterInspector, FakeDriver } from '@testing/runtime';
import { type Connection } from 'mongoose';
import { tmpdir } from 'node:os';
import { EnvironmentsModule, EnvironmentsService } from '../src';
import { type Environment } from '../src/environment';
import { EnvironmentReconciler } from '../src/environment.reconciler';

@Global()
@Module({})
class GivenModule {}

@Module({})
class WorldModule {}

/** Every credential is good until it is ended here. */
export class TestAuthenticator extends Authenticator {
  private readonly ended: Revocation[] = [];
  private readonly listeners = new Set<(revocation: Revocation) => void>();

  authenticate(): Promise<Principal> {
    return Promise.reject(new DomainError('unauthenticated', 'token_invalid', 'There are no tokens here'));
  }

  restore(credential: CredentialRef): Promise<Principal> {
    if (this.ended.some((revocation) => concerns(revocation, credential)))
      return Promise.reject(new DomainError('unauthenticated', 'session_revoked', 'It has ended'));
    return Promise.resolve({ ...principal('free', credential.userId), credential });
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  end(revocation: Revocation, heard = true): void {
    this.ended.push(revocation);
    if (heard) for (const listener of this.listeners) listener(revocation);
  }
}

/** Replicas of the environments' side of the server on one database and one fake runtime, with time and turns in the test's hand. */
export class EnvironmentsWorld {
  /** Of today, because a real MongoDB expires documents by its own clock. */
  readonly clock = new ManualClock(Date.now());
  readonly driver: FakeDriver;
  readonly inspector = new FakeClusterInspector();
  readonly authenticator = new TestAuthenticator();
  private readonly apps: INestApplication[] = [];

  private constructor(
    readonly database: TestDatabase,
    kind: RuntimeKind,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    this.driver = new FakeDriver({ clock: this.clock, kind });
  }

  static async open(
    replicas = 1,
    kind: RuntimeKind = 'local',
    env: Readonly<Record<string, string>> = {},
  ): Promise<EnvironmentsWorld> {
    const world = new EnvironmentsWorld(await openTestDatabase(), kind, env);
    for (let count = 0; count < replicas; count += 1) await world.addReplica();
    await world.get(TemplatesService).seed({ force: true });
    return world;
  }

  get replicas(): number {
    return this.apps.length;
  }

  /** A provider of one of the replicas. */
  get<T>(type: Type<T>, replica = 0): T {
    const app = this.apps[replica];
    if (!app) throw new Error(`There is no replica ${replica}`);
    return app.get(type, { strict: false });
  }

  /** An empty world: no environments, a fresh runtime. */
  async clear(): Promise<void> {
    this.driver.release();
    await this.settle();
    for (const name of [
      'environments',
      'user_events',
      'environment_history',
      'environment_metrics',
      'orphans',
      'clusters',
      'cluster_defaults',
    ])
      await this.database.connection.collection(name).deleteMany({});
    this.driver.reset();
  }

  /** One turn of a replica's reconciler, until what it took is done or held by the runtime. */
  async turn(replica = 0): Promise<void> {
    await this.get(EnvironmentReconciler, replica).turn();
    await this.settle();
  }

  /** So many turns of every replica, with so much time between. */
  async turns(count: number, stepMs = 1_000): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) {
      for (let replica = 0; replica < this.replicas; replica += 1) await this.turn(replica);
      this.clock.push(stepMs);
    }
  }

  /** A new environment of the template `ubuntu`. */
  create(user: Principal, name: string, replica = 0, region: Region | null = null): Promise<Environment> {
    const none = { description: null, image: null, resources: {}, environmentVariables: {}, region, autoStopMinutes: null };
    return this.get(EnvironmentsService, replica).create(user, { name, template: 'ubuntu', ...none }, null);
  }

  /** Until every look has ended, but for those that the runtime holds. */
  async settle(): Promise<void> {
    const underWay = (): number =>
      this.apps.reduce((sum, _app, replica) => sum + this.get(EnvironmentReconciler, replica).underWay, 0);
    while (underWay() > this.driver.held) await new Promise((resolve) => setImmediate(resolve));
  }

  async close(): Promise<void> {
    this.driver.release();
    await this.settle();
    for (const app of this.apps) await app.close();
    await this.database.close();
  }

  private async addReplica(): Promise<void> {
    const { clock, database } = this;
    const given: DynamicModule = {
      module: GivenModule,
      providers: [
        { provide: Clock, useValue: clock },
        { provide: RuntimeRegistry, useValue: new RuntimeRegistry([this.driver]) },
        { provide: ClusterInspector, useValue: this.inspector },
        { provide: Authenticator, useValue: this.authenticator },
        Installation,
      ],
      exports: [Clock, RuntimeRegistry, ClusterInspector, Authenticator, Installation],
    };
    const module: DynamicModule = {
      module: WorldModule,
      imports: [
        SettingsModule.forRoot(testSettings({ DATA_DIR: tmpdir(), ...this.env })),
        given,
        SharedStateModule,
        MongooseModule.forRoot(database.url, { dbName: database.name, autoIndex: false, autoCreate: false }),
        AccessModule,
        HttpModule,
        EnvironmentsModule,
      ],
    };
    // Made, not started: its loops are turned by hand.
    const app = await NestFactory.create(module, { logger: false });
    const connection = app.get<Connection>(getConnectionToken());
    for (const model of Object.values(connection.models)) await model.createIndexes();
    this.apps.push(app);
  }
}

/** Somebody with a plan. */
export function principal(plan: Plan = 'free', userId = newId()): Principal {
  return {
    userId,
    username: 'somebody',
    role: 'user',
    plan,
    isVerified: true,
    credential: { kind: 'session', id: newId(), userId },
    scopes: new Set(SCOPES),
    expiresAt: null,
  };
}
