export * from './duplicate-key';
export * from './database.module';
export * from './open-database';
