import { Injectable } from '@nestjs/common';
import { type Services } from './backend.module';
import { CliSettings } from './cli-settings';

/** The services of the API, loaded and opened only by a command that needs them: the others start in no time. */
@Injectable()
export class Backend {
  constructor(private readonly settings: CliSettings) {}

  async use<T>(work: (services: Services) => Promise<T>): Promise<T> {
    const [{ withServices }, { clusterInspector }] = await Promise.all([
      import('./backend.module.js'),
      import('./cluster-inspector.js'),
    ]);
    return withServices(this.settings.get(), clusterInspector(), work);
  }
}
