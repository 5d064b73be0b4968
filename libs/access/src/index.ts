export * from './authenticator';
export * from './principal';
