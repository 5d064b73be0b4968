import { AccessModule } from '@devpocket/access';
import { AuditTrail } from '@devpocket/audit';
import { AccountService, AuthModule, RegistrationService, SignInService } from '@devpocket/auth';
import { type Settings, SettingsModule } from '@devpocket/config';
import { ClusterHealthService, ClustersService, KeyRotationService } from '@devpocket/clusters';
import { DatabaseModule, ensureIndexes, Installation } from '@devpocket/database';
import { ClusterUsageModule } from '@devpocket/environments';
import { HttpModule } from '@devpocket/http';
import { Clock, SystemClock } from '@devpocket/kernel';
import { ClusterInspector } from '@devpocket/runtime';
import { SharedStateModule } from '@devpocket/shared-state';
import { TemplatesModule, TemplatesService } from '@devpocket/templates';
import { UsersModule, UsersService } from '@devpocket/users';
import { type DynamicModule, Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getConnectionToken } from '@nestjs/mongoose';
import { type Connection } from 'mongoose';

@Global()
@Module({})
class GivenModule {
  static forRoot(inspector: ClusterInspector | null): DynamicModule {
    return {
      module: GivenModule,
      providers: [
        { provide: Clock, useClass: SystemClock },
        { provide: ClusterInspector, useValue: inspector },
      ],
      exports: [Clock, ClusterInspector],
    };
  }
}

@Module({})
class BackendModule {
  static forRoot(settings: Settings, inspector: ClusterInspector | null, migrate: boolean): DynamicModule {
    return {
      module: BackendModule,
      imports: [
        SettingsModule.forRoot(settings),
        GivenModule.forRoot(inspector),
        DatabaseModule.forRoot({ join: true, migrate }),
        SharedStateModule.forRoot(Installation),
        AccessModule,
        HttpModule,
        UsersModule,
        AuthModule,
        TemplatesModule,
        ClusterUsageModule,
      ],
    };
  }
}

/** The API's services, as far as commands use them. */
export interface Services {
  readonly users: UsersService;
  readonly registration: RegistrationService;
  readonly accounts: AccountService;
  readonly signIn: SignInService;
  readonly audit: AuditTrail;
  readonly templates: TemplatesService;
  readonly clusters: ClustersService;
  readonly measurements: ClusterHealthService;
  readonly keys: KeyRotationService;
  readonly database: Connection;
}

/**
 * Runs `work` beside the services without HTTP, on the database of a running server where there is one.
 * @param prepare whether migrations are done and indexes made first, as a server does at its start
 */
export async function withServices<T>(
  settings: Settings,
  inspector: ClusterInspector | null,
  work: (services: Services) => Promise<T>,
  { prepare = true } = {},
): Promise<T> {
  const app = await NestFactory.createApplicationContext(BackendModule.forRoot(settings, inspector, prepare), {
    logger: ['error'],
    abortOnError: false,
  });
  try {
    const database = app.get<Connection>(getConnectionToken());
    if (prepare) await ensureIndexes(database);
    return await work({
      users: app.get(UsersService),
      registration: app.get(RegistrationService),
      accounts: app.get(AccountService),
      signIn: app.get(SignInService),
      audit: app.get(AuditTrail),
      templates: app.get(TemplatesService),
      clusters: app.get(ClustersService),
      measurements: app.get(ClusterHealthService),
      keys: app.get(KeyRotationService),
      database,
    });
  } finally {
    await app.close();
  }
}
