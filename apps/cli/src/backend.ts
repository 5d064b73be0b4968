import { type OpenDatabase } from '@devpocket/database';
import { Injectable } from '@nestjs/common';
import { type Services } from './backend.module';
import { CliSettings } from './cli-settings';

/** The services of the API, loaded and opened only by a command that needs them: the others start in no time. */
@Injectable()
export class Backend {
  constructor(private readonly settings: CliSettings) {}

  /** @param prepare whether the database is brought to this version's shape first; without it, it is left as it is */
  async use<T>(work: (services: Services) => Promise<T>, { prepare = true } = {}): Promise<T> {
    const [{ withServices }, { clusterInspector }] = await Promise.all([
      import('./backend.module.js'),
      import('./cluster-inspector.js'),
    ]);
    return withServices(this.settings.get(), clusterInspector(), work, { prepare });
  }

  /** The database alone, as it is. */
  async open<T>(work: (database: OpenDatabase) => Promise<T>): Promise<T> {
    const { withDatabase } = await import('./open-as-is.js');
    return withDatabase(this.settings.get().database, work);
  }
}
