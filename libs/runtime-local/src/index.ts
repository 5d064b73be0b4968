export { type Capabilities, detectCapabilities } from './capabilities';
export { LocalDriver, type LocalRuntimeOptions } from './local.driver';
export { runHost } from './host';
export type { FrontMaker, FrontNeeds, HostFront } from './host-front';
