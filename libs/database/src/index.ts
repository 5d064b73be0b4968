export * from './database.module';
export * from './duplicate-key';
export * from './indexes';
export * from './installation';
export * from './migration';
export * from './migrator';
export * from './older-than';
export * from './open-database';
