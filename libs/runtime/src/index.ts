export * from './cluster-access';
export * from './errors';
export * from './runtime-registry';
export * from './runtime.driver';
export * from './types';
