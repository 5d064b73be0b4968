import { HealthRegistry } from '@devpocket/http';
import { RuntimeRegistry, type RuntimeDriver } from '@devpocket/runtime';
import { type DynamicModule, Global, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';

/** Ctrl-C means that the person is done: shells end with the server. Any other stop may be followed by a start. */
const ENDS_TERMINALS = 'SIGINT';

@Injectable()
class RuntimeCloser implements OnApplicationShutdown {
  constructor(
    private readonly registry: RuntimeRegistry,
    health: HealthRegistry,
  ) {
    health.register('runtime', (signal) => registry.primary().check(signal));
  }

  async onApplicationShutdown(signal?: string): Promise<void> {
    await this.registry.close({ keepTerminals: signal !== ENDS_TERMINALS });
  }
}

/** Offers the drivers that this process has, opened. */
@Global()
@Module({})
export class RuntimeModule {
  static forRoot(drivers: () => readonly RuntimeDriver[]): DynamicModule {
    return {
      module: RuntimeModule,
      providers: [
        RuntimeCloser,
        {
          provide: RuntimeRegistry,
          useFactory: async () => {
            const registry = new RuntimeRegistry(drivers());
            await registry.open();
            return registry;
          },
        },
      ],
      exports: [RuntimeRegistry],
    };
  }
}
