export * from './clock';
export * from './domain-error';
export * from './id';
export * from './loop';
export * from './page';
