export * from './api-proxy';
export * from './test-cluster';
