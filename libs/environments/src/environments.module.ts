import { TemplatesModule } from '@devpocket/templates';
import { UsersModule } from '@devpocket/users';
import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { ActivityRecorder } from './activity-recorder';
import { EnvironmentAllowance } from './environment-allowance';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentGauges } from './environment-gauges';
import { EnvironmentSpecs } from './environment-specs';
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
import { EnvironmentsController } from './environments.controller';
import { EnvironmentsService } from './environments.service';
import { HistoryRepository } from './history.repository';
import { IdleStopper } from './idle-stopper';
import { InsightController } from './insight.controller';
import { InsightService } from './insight.service';
import { LifecycleService } from './lifecycle.service';
import { LookRepository } from './look.repository';
import { OrphanRepository } from './orphan.repository';
import { OrphanSweeper } from './orphan-sweeper';
import { TicketsService } from './tickets.service';
import { UsageSampler } from './usage-sampler';

@Module({
  imports: [
    UsersModule,
    TemplatesModule,
    MongooseModule.forFeature([
      { name: EnvironmentRecord.name, schema: EnvironmentSchema },
      { name: HistoryRecord.name, schema: HistorySchema },
      { name: MetricRecord.name, schema: MetricSchema },
      { name: OrphanRecord.name, schema: OrphanSchema },
    ]),
  ],
  controllers: [EnvironmentsController, InsightController],
  providers: [
    EnvironmentRepository,
    LookRepository,
    HistoryRepository,
    EnvironmentEvents,
    EnvironmentGauges,
    EnvironmentSpecs,
    EnvironmentReconciler,
    EnvironmentsService,
    LifecycleService,
    InsightService,
    TicketsService,
    ActivityRecorder,
    IdleStopper,
    UsageSampler,
    OrphanRepository,
    OrphanSweeper,
    EnvironmentAllowance,
  ],
  exports: [EnvironmentsService, EnvironmentEvents, ActivityRecorder],
})
export class EnvironmentsModule {}
