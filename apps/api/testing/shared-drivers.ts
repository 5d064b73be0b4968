import { type RuntimeDriver } from '@devpocket/runtime';
import { type DriverNeeds } from '../src/runtime.module';

/** One runtime for several servers in this process, as a cluster or an engine is: opened once, closed with the last of them. */
export class SharedDrivers {
  private made: Promise<readonly RuntimeDriver[]> | null = null;

  constructor(
    private users: number,
    private readonly make: (needs: DriverNeeds) => Promise<readonly RuntimeDriver[]>,
  ) {}

  async get(needs: DriverNeeds): Promise<readonly RuntimeDriver[]> {
    this.made ??= this.make(needs).then((drivers) => drivers.map((driver) => this.shared(driver)));
    return this.made;
  }

  private shared(driver: RuntimeDriver): RuntimeDriver {
    let opened: ReturnType<RuntimeDriver['open']> | null = null;
    const open = (): ReturnType<RuntimeDriver['open']> => (opened ??= driver.open());
    const close: RuntimeDriver['close'] = (options) => {
      this.users -= 1;
      return this.users === 0 ? driver.close(options) : Promise.resolve();
    };
    return new Proxy(driver, {
      get: (target, key) => {
        if (key === 'open') return open;
        if (key === 'close') return close;
        // It serves one server.
        if (key === 'sessionProcess') return () => null;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }
}
