export * from './clusters.module';
export * from './clusters.service';
