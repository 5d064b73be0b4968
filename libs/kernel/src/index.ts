export * from './clock';
export * from './domain-error';
export * from './error-code';
export * from './id';
export * from './loop';
export * from './page';
export * from './region';
export * from './time';
