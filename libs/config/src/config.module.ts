import { type DynamicModule, Global, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import {
  AppSettings,
  AuthSettings,
  ClusterSettings,
  DatabaseSettings,
  EncryptionSettings,
  GoogleSettings,
  HttpSettings,
  LogSettings,
  MailSettings,
  RateLimitSettings,
  RuntimeSettings,
  type Settings,
  SharedStateSettings,
  TerminalSettings,
} from './settings';

const SLICES = {
  app: AppSettings,
  http: HttpSettings,
  log: LogSettings,
  database: DatabaseSettings,
  sharedState: SharedStateSettings,
  auth: AuthSettings,
  google: GoogleSettings,
  mail: MailSettings,
  encryption: EncryptionSettings,
  clusters: ClusterSettings,
  rateLimit: RateLimitSettings,
  runtime: RuntimeSettings,
  terminal: TerminalSettings,
} as const;

/** Offers each slice of the settings under its class; nothing else of the environment is to be had. */
@Global()
@Module({})
export class SettingsModule {
  static forRoot(settings: Settings): DynamicModule {
    const entries = Object.entries(SLICES) as [keyof Settings, (typeof SLICES)[keyof Settings]][];
    return {
      module: SettingsModule,
      imports: [ConfigModule.forRoot({ ignoreEnvFile: true, skipProcessEnv: true, load: [() => ({ ...settings })] })],
      providers: entries.map(([name, slice]) => ({
        provide: slice,
        inject: [ConfigService],
        useFactory: (config: ConfigService): unknown => config.getOrThrow(name),
      })),
      exports: entries.map(([, slice]) => slice),
    };
  }
}
