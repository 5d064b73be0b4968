export { type Capabilities, detectCapabilities } from './capabilities';
export { LocalDriver, type LocalRuntimeOptions } from './local.driver';
