export { FakeDriver, type FakeOptions } from './fake.driver';
export { FakeTerminal } from './fake-terminal';
export { describeDriverContract, type DriverHarness } from './driver-contract';
