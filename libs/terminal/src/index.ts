export * from './terminal.module';
