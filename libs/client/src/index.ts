export * from './rest-client';
export * from './terminal-client';
