export * from './broadcast';
export * from './counters';
export * from './shared-state.module';
export * from './tickets';
