export * from './database.module';
export * from './duplicate-key';
export * from './indexes';
export * from './installation';
export * from './open-database';
