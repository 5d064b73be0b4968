import { AccessModule } from '@devpocket/access';
import { AccountRemovalModule, AuthModule } from '@devpocket/auth';
import { type Settings, SettingsModule } from '@devpocket/config';
import { DatabaseModule, Installation } from '@devpocket/database';
import { ClustersApiModule } from '@devpocket/clusters';
import { EnvironmentsModule } from '@devpocket/environments';
import { HttpModule } from '@devpocket/http';
import { MailSenderModule } from '@devpocket/mail';
import { SharedStateModule } from '@devpocket/shared-state';
import { TerminalModule } from '@devpocket/terminal';
import { type DynamicModule, Module } from '@nestjs/common';
import { InfoController } from './info.controller';
import { KernelModule } from './kernel.module';
import { loggingModule } from './logging.module';
import { RuntimeModule, type Runtimes } from './runtime.module';

/** The composition root: the only place that knows all parts. */
@Module({})
export class AppModule {
  static forRoot(settings: Settings, runtimes: Runtimes): DynamicModule {
    return {
      module: AppModule,
      imports: [
        SettingsModule.forRoot(settings),
        KernelModule,
        loggingModule(),
        DatabaseModule.forRoot(),
        SharedStateModule.forRoot(Installation),
        RuntimeModule.forRoot(runtimes),
        // Guards run in the order of their modules: who is calling first, then limits per caller.
        AccessModule,
        HttpModule,
        AuthModule,
        MailSenderModule,
        AccountRemovalModule,
        ClustersApiModule,
        EnvironmentsModule,
        TerminalModule,
      ],
      controllers: [InfoController],
    };
  }
}
