export { type components, type operations, type paths } from './api';
export * from './rest-client';
export * from './terminal-client';
export * from './terminal-options';
export { SUBPROTOCOLS, type TerminalProtocol } from './terminal-wire';
