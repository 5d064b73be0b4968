export * from './deflate';
export * from './messages';
export * from './socket-pulse';
