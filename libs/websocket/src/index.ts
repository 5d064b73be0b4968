export * from './deflate';
export * from './handshake';
export * from './messages';
export * from './socket-pulse';
