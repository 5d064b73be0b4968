export * from './api-proxy';
export * from './api-rights';
export * from './test-cluster';
