export * from './broadcast';
export * from './counters';
export * from './head-counts';
export * from './homes';
export * from './newest-few';
export * from './shared-state-down';
export * from './shared-state.module';
export * from './tickets';
