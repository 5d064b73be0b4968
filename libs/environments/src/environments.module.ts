import { AuditModule } from '@devpocket/audit';
import { ClustersModule } from '@devpocket/clusters';
import { TemplatesModule } from '@devpocket/templates';
import { UsersModule } from '@devpocket/users';
import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { ActivityRecorder } from './activity-recorder';
import { ClusterUseRepository } from './cluster-use.repository';
import { EnvironmentRemoval } from './environment-removal';
import { EnvironmentAllowance } from './environment-allowance';
import { EnvironmentClusterUsage } from './environment-cluster-usage';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentGauges } from './environment-gauges';
import { EnvironmentPlacement } from './environment-placement';
import { EnvironmentSpecs } from './environment-specs';
import { EnvironmentViews } from './environment-views';
import { EventsController } from './events.controller';
import { EventStreams } from './event-streams';
import { EventFeed } from './event-feed';
import { EventLogRepository } from './event-log.repository';
import { EventRecord, EventSchema } from './event-log.schema';
import { EnvironmentReconciler } from './environment.reconciler';
import { EnvironmentRepository } from './environment.repository';
import {
  EnvironmentRecord,
  EnvironmentSchema,
  HistoryRecord,
  HistorySchema,
  MetricRecord,
  MetricSchema,
  OrphanRecord,
  OrphanSchema,
} from './environment.schema';
import { AdminEnvironmentsController } from './admin-environments.controller';
import { EnvironmentsController } from './environments.controller';
import { EnvironmentsService } from './environments.service';
import { HistoryRepository } from './history.repository';
import { IdleStopper } from './idle-stopper';
import { InsightController } from './insight.controller';
import { InsightService } from './insight.service';
import { LifecycleService } from './lifecycle.service';
import { LookRepository } from './look.repository';
import { NewsRepository } from './news.repository';
import { NewsSweeper } from './news-sweeper';
import { OrphanRepository } from './orphan.repository';
import { OrphanSweeper } from './orphan-sweeper';
import { OrphansController } from './orphans.controller';
import { OrphansService } from './orphans.service';
import { TicketsService } from './tickets.service';
import { UsageSampler } from './usage-sampler';

/** Where environments are kept, and what tells the clusters what they have: all that the command line needs of environments. */
@Module({
  imports: [
    ClustersModule,
    MongooseModule.forFeature([
      { name: EnvironmentRecord.name, schema: EnvironmentSchema },
      { name: EventRecord.name, schema: EventSchema },
      { name: HistoryRecord.name, schema: HistorySchema },
      { name: MetricRecord.name, schema: MetricSchema },
      { name: OrphanRecord.name, schema: OrphanSchema },
    ]),
  ],
  providers: [ClusterUseRepository, EnvironmentClusterUsage],
  exports: [ClusterUseRepository, ClustersModule, MongooseModule],
})
export class ClusterUsageModule {}

@Module({
  imports: [UsersModule, TemplatesModule, AuditModule, ClusterUsageModule],
  controllers: [EnvironmentsController, InsightController, EventsController, AdminEnvironmentsController, OrphansController],
  providers: [
    EnvironmentRepository,
    EnvironmentPlacement,
    LookRepository,
    HistoryRepository,
    EventLogRepository,
    NewsRepository,
    EnvironmentEvents,
    EventFeed,
    EventStreams,
    NewsSweeper,
    EnvironmentGauges,
    EnvironmentSpecs,
    EnvironmentReconciler,
    EnvironmentsService,
    EnvironmentViews,
    LifecycleService,
    InsightService,
    TicketsService,
    ActivityRecorder,
    IdleStopper,
    UsageSampler,
    OrphanRepository,
    OrphanSweeper,
    OrphansService,
    EnvironmentAllowance,
    EnvironmentRemoval,
  ],
  exports: [EnvironmentsService, EnvironmentEvents, EventFeed, ActivityRecorder],
})
export class EnvironmentsModule {}
