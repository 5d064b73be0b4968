import { RuntimeError } from './errors';
import { type RuntimeDriver } from './runtime.driver';
import { type RuntimeKind, type RuntimeReport } from './types';

/** The drivers that this process has. The first is where new environments go. */
export class RuntimeRegistry {
  private readonly drivers: ReadonlyMap<RuntimeKind, RuntimeDriver>;
  private opened: readonly RuntimeReport[] = [];

  constructor(drivers: readonly RuntimeDriver[]) {
    this.drivers = new Map(drivers.map((driver) => [driver.kind, driver]));
  }

  /** @throws RuntimeError `unreachable` for a kind without a driver here: what is known of its environments stays as it is. */
  get(kind: RuntimeKind): RuntimeDriver {
    const driver = this.drivers.get(kind);
    if (!driver) throw new RuntimeError('unreachable', `This server has no driver for the runtime "${kind}"`);
    return driver;
  }

  all(): readonly RuntimeDriver[] {
    return [...this.drivers.values()];
  }

  primary(): RuntimeDriver {
    const first = this.all()[0];
    if (!first) throw new RuntimeError('unreachable', 'No runtime is configured');
    return first;
  }

  /** What `open` found, primary first. */
  reports(): readonly RuntimeReport[] {
    return this.opened;
  }

  async open(): Promise<void> {
    const reports: RuntimeReport[] = [];
    for (const driver of this.all()) reports.push(await driver.open());
    this.opened = reports;
  }

  async close(options: { readonly keepTerminals: boolean }): Promise<void> {
    await Promise.all(this.all().map((driver) => driver.close(options)));
  }
}
