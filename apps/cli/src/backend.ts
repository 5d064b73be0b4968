import { AccessModule } from '@devpocket/access';
import { AuthModule } from '@devpocket/auth';
import { SettingsModule } from '@devpocket/config';
import { DatabaseModule, ensureIndexes } from '@devpocket/database';
import { HttpModule } from '@devpocket/http';
import { Clock, SystemClock } from '@devpocket/kernel';
import { SharedStateModule } from '@devpocket/shared-state';
import { TemplatesModule } from '@devpocket/templates';
import { UsersModule } from '@devpocket/users';
import { type DynamicModule, Global, type INestApplicationContext, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getConnectionToken } from '@nestjs/mongoose';
import { type Connection } from 'mongoose';
import { CliSettings } from './cli-settings';

@Global()
@Module({ providers: [{ provide: Clock, useClass: SystemClock }], exports: [Clock] })
class ClockModule {}

@Module({})
class BackendModule {
  static forRoot(settings: CliSettings): DynamicModule {
    return {
      module: BackendModule,
      imports: [
        SettingsModule.forRoot(settings.get()),
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

/** The services of the API without HTTP, opened only by a command that needs them: many need no database. */
@Injectable()
export class Backend {
  constructor(private readonly settings: CliSettings) {}

  async use<T>(work: (services: INestApplicationContext) => Promise<T>): Promise<T> {
    const services = await NestFactory.createApplicationContext(BackendModule.forRoot(this.settings), {
      logger: ['error'],
      abortOnError: false,
    });
    try {
      await ensureIndexes(services.get<Connection>(getConnectionToken()));
      return await work(services);
    } finally {
      await services.close();
    }
  }
}
