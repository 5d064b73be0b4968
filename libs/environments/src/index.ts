export { ActivityRecorder } from './activity-recorder';
export { STATUSES, type Status } from './environment';
export { EnvironmentEvents } from './environment-events';
export { EventFeed, type FeedItem } from './event-feed';
export { toEventMessage } from './event-message';
export * from './environment.events';
export { ClusterUsageModule, EnvironmentsModule } from './environments.module';
export { EnvironmentsService, type LocatedEnvironment } from './environments.service';
