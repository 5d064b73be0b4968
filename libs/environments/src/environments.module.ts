import { TemplatesModule } from '@devpocket/templates';
import { UsersModule } from '@devpocket/users';
import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { ActivityRecorder } from './activity-recorder';
import { EnvironmentAllowance } from './environment-allowance';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentReconciler } from './environment.reconciler';
import { EnvironmentRepository } from './environment.repository';
import {
  EnvironmentRecord,
  EnvironmentSchema,
  HistoryRecord,
  HistorySchema,
  MetricRecord,
  MetricSchema,
} from './environment.schema';
import { EnvironmentsController } from './environments.controller';
import { EnvironmentsService } from './environments.service';
import { HistoryRepository } from './history.repository';
import { HousekeepingService } from './housekeeping.service';
import { InsightController } from './insight.controller';
import { InsightService } from './insight.service';
import { LifecycleService } from './lifecycle.service';
import { TicketsService } from './tickets.service';

@Module({
  imports: [
    UsersModule,
    TemplatesModule,
    MongooseModule.forFeature([
      { name: EnvironmentRecord.name, schema: EnvironmentSchema },
      { name: HistoryRecord.name, schema: HistorySchema },
      { name: MetricRecord.name, schema: MetricSchema },
    ]),
  ],
  controllers: [EnvironmentsController, InsightController],
  providers: [
    EnvironmentRepository,
    HistoryRepository,
    EnvironmentEvents,
    EnvironmentReconciler,
    EnvironmentsService,
    LifecycleService,
    InsightService,
    TicketsService,
    ActivityRecorder,
    HousekeepingService,
    EnvironmentAllowance,
  ],
  exports: [EnvironmentsService, EnvironmentEvents, ActivityRecorder],
})
export class EnvironmentsModule {}
