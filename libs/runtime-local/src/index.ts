export { LocalDriver, type LocalRuntimeOptions } from './local.driver';
