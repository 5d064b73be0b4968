import { SystemClock } from '@devpocket/kernel';
import { describeDriverContract, FakeDriver } from '@testing/runtime';

describeDriverContract('the fake', () => {
  const driver = new FakeDriver({ clock: new SystemClock() });
  return Promise.resolve({
    driver,
    reopen: async () => {
      await driver.close({ keepTerminals: true });
      return driver;
    },
    close: () => driver.close({ keepTerminals: false }),
  });
});
