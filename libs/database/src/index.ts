export * from './database.module';
export * from './duplicate-key';
export * from './indexes';
export * from './open-database';
