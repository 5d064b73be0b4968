export * from './audit-entry';
export * from './audit-trail';
export * from './audit.module';
