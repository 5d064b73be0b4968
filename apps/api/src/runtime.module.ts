import { ClustersModule } from '@devpocket/clusters';
import { Installation } from '@devpocket/database';
import { HealthRegistry } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { ClusterDirectory, ClusterInspector, RuntimeRegistry, type RuntimeDriver } from '@devpocket/runtime';
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

/** What a driver may be made from, beside settings. */
export interface DriverNeeds {
  readonly clusters: ClusterDirectory;
  /** The mark of this installation. */
  readonly install: () => Promise<string>;
  readonly clock: Clock;
}

/** What this process can run environments with. */
export interface Runtimes {
  /** The first is where new environments go. */
  readonly drivers: (needs: DriverNeeds) => Promise<readonly RuntimeDriver[]>;
  /** Null: there is no runtime for clusters. */
  readonly inspector: ClusterInspector | null;
}

/** Offers the drivers that this process has, opened, and whoever judges clusters. */
@Global()
@Module({})
export class RuntimeModule {
  static forRoot({ drivers, inspector }: Runtimes): DynamicModule {
    return {
      module: RuntimeModule,
      imports: [ClustersModule],
      providers: [
        RuntimeCloser,
        { provide: ClusterInspector, useValue: inspector },
        {
          provide: RuntimeRegistry,
          inject: [ClusterDirectory, Installation, Clock],
          useFactory: async (clusters: ClusterDirectory, installation: Installation, clock: Clock) => {
            const registry = new RuntimeRegistry(await drivers({ clusters, install: () => installation.id(), clock }));
            await registry.open();
            return registry;
          },
        },
      ],
      exports: [RuntimeRegistry, ClusterInspector],
    };
  }
}
