import { AppSettings, DatabaseSettings } from '@devpocket/config';
import { type DynamicModule, Global, Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { getConnectionToken, MongooseModule } from '@nestjs/mongoose';
import { type Connection } from 'mongoose';
import { Installation } from './installation';
import { DatabaseHandle, openDatabase, settingNamed } from './open-database';

/** Closes the embedded database after everything that used it. */
@Injectable()
class DatabaseCloser implements OnApplicationShutdown {
  constructor(
    @Inject(getConnectionToken()) private readonly connection: Connection,
    private readonly handle: DatabaseHandle,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.connection.close();
    await this.handle.close();
  }
}

/** The one connection: to MONGODB_URL, or to the embedded database, which it starts in DATA_DIR. */
@Global()
@Module({})
export class DatabaseModule {
  /** @param join see `openDatabase`: the command line joins the database of a running server */
  static forRoot({ join = false } = {}): DynamicModule {
    const handle: DynamicModule = {
      module: DatabaseHandleModule,
      global: true,
      providers: [
        {
          provide: DatabaseHandle,
          inject: [DatabaseSettings, AppSettings],
          useFactory: (settings: DatabaseSettings) => openDatabase(settings, new Logger('Database'), join),
        },
      ],
      exports: [DatabaseHandle],
    };
    return {
      module: DatabaseModule,
      imports: [
        handle,
        MongooseModule.forRootAsync({
          inject: [DatabaseHandle],
          useFactory: (database: DatabaseHandle) => ({
            uri: database.url,
            ...database.options,
            retryAttempts: 0,
            autoIndex: false,
            autoCreate: false,
            connectionErrorFactory: (error) => (database.kind === 'mongodb' ? settingNamed(error) : error),
          }),
        }),
      ],
      providers: [DatabaseCloser, Installation],
      exports: [handle, Installation],
    };
  }
}

class DatabaseHandleModule {}
