import { AccessModule } from '@devpocket/access';
import { AuthModule } from '@devpocket/auth';
import { type Settings, SettingsModule } from '@devpocket/config';
import { DatabaseModule } from '@devpocket/database';
import { ClustersModule } from '@devpocket/clusters';
import { EnvironmentsModule } from '@devpocket/environments';
import { HttpModule } from '@devpocket/http';
import { type RuntimeDriver } from '@devpocket/runtime';
import { SharedStateModule } from '@devpocket/shared-state';
import { TerminalModule } from '@devpocket/terminal';
import { type DynamicModule, Module } from '@nestjs/common';
import { InfoController } from './info.controller';
import { KernelModule } from './kernel.module';
import { loggingModule } from './logging.module';
import { RuntimeModule } from './runtime.module';

/** The composition root: the only place that knows all parts. */
@Module({})
export class AppModule {
  static forRoot(settings: Settings, drivers: () => readonly RuntimeDriver[]): DynamicModule {
    return {
      module: AppModule,
      imports: [
        SettingsModule.forRoot(settings),
        KernelModule,
        loggingModule(),
        SharedStateModule,
        DatabaseModule.forRoot(),
        RuntimeModule.forRoot(drivers),
        // Guards run in the order of their modules: who is calling first, then limits per caller.
        AccessModule,
        HttpModule,
        AuthModule,
        ClustersModule,
        EnvironmentsModule,
        TerminalModule,
      ],
      controllers: [InfoController],
    };
  }
}
