import { AccessModule } from '@devpocket/access';
import { AuthModule, RegistrationService } from '@devpocket/auth';
import { type Settings, SettingsModule } from '@devpocket/config';
import { DatabaseModule, ensureIndexes } from '@devpocket/database';
import { HttpModule } from '@devpocket/http';
import { Clock, SystemClock } from '@devpocket/kernel';
import { SharedStateModule } from '@devpocket/shared-state';
import { TemplatesModule, TemplatesService } from '@devpocket/templates';
import { UsersModule, UsersService } from '@devpocket/users';
import { type DynamicModule, Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getConnectionToken } from '@nestjs/mongoose';
import { type Connection } from 'mongoose';

@Global()
@Module({ providers: [{ provide: Clock, useClass: SystemClock }], exports: [Clock] })
class ClockModule {}

@Module({})
class BackendModule {
  static forRoot(settings: Settings): DynamicModule {
    return {
      module: BackendModule,
      imports: [
        SettingsModule.forRoot(settings),
        ClockModule,
        SharedStateModule,
        DatabaseModule.forRoot({ join: true }),
        AccessModule,
        HttpModule,
        UsersModule,
        AuthModule,
        TemplatesModule,
      ],
    };
  }
}

/** The API's services, as far as commands use them. */
export interface Services {
  readonly users: UsersService;
  readonly registration: RegistrationService;
  readonly templates: TemplatesService;
}

/** Runs `work` beside the services without HTTP, on the database of a running server where there is one. */
export async function withServices<T>(settings: Settings, work: (services: Services) => Promise<T>): Promise<T> {
  const app = await NestFactory.createApplicationContext(BackendModule.forRoot(settings), {
    logger: ['error'],
    abortOnError: false,
  });
  try {
    await ensureIndexes(app.get<Connection>(getConnectionToken()));
    return await work({
      users: app.get(UsersService),
      registration: app.get(RegistrationService),
      templates: app.get(TemplatesService),
    });
  } finally {
    await app.close();
  }
}
