import { AppSettings, DatabaseSettings } from '@devpocket/config';
import { Clock, DomainError } from '@devpocket/kernel';
import { type DynamicModule, Global, Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { getConnectionToken, MongooseModule } from '@nestjs/mongoose';
import { type Connection } from 'mongoose';
import { Installation } from './installation';
import { Migrator } from './migrator';
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

/** The one connection: to MONGODB_URL, or to the embedded database, which it starts in DATA_DIR. Nobody gets it before it has this version's shape. */
@Global()
@Module({})
export class DatabaseModule {
  /**
   * @param join see `openDatabase`: the command line joins the database of a running server
   * @param migrate false: for whoever only looks
   */
  static forRoot({ join = false, migrate = true } = {}): DynamicModule {
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
          inject: [DatabaseHandle, Clock],
          useFactory: (database: DatabaseHandle, clock: Clock) => ({
            uri: database.url,
            ...database.options,
            retryAttempts: 0,
            autoIndex: false,
            autoCreate: false,
            connectionFactory: (connection: Connection) => (migrate ? migrated(connection, database, clock) : connection),
            connectionErrorFactory: (error) =>
              database.kind !== 'mongodb' || error instanceof DomainError ? error : settingNamed(error),
          }),
        }),
      ],
      providers: [DatabaseCloser, Installation],
      exports: [handle, Installation],
    };
  }
}

class DatabaseHandleModule {}

async function migrated(connection: Connection, database: DatabaseHandle, clock: Clock): Promise<Connection> {
  const logger = new Logger('Database');
  try {
    await new Migrator(connection, clock, { log: (message) => logger.log(message) }).run();
    return connection;
  } catch (error) {
    await connection.close();
    await database.close();
    throw error;
  }
}
