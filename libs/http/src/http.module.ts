import { RateLimitSettings } from '@devpocket/config';
import { Counters } from '@devpocket/shared-state';
import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { MongooseModule } from '@nestjs/mongoose';
import { ThrottlerModule } from '@nestjs/throttler';
import { EdgeLimiter, MINUTE_MS } from './edge-limiter';
import { HealthRegistry } from './health';
import { IdempotencyInterceptor } from './idempotency.interceptor';
import { IdempotencyRepository } from './idempotency.repository';
import { IdempotencyRecord, IdempotencySchema } from './idempotency.schema';
import { HealthGauge, MetricsInterceptor, MetricsRegistry } from './metrics';
import { ProblemFilter } from './problem.filter';
import { CountersStorage, RateLimitGuard } from './rate-limit.guard';
import { RequestOrigins } from './request-origin';
import { ServiceController } from './service.controller';

/** Import it after the access module: global guards run in the order of their modules, and limits count for the principal. */
@Global()
@Module({
  imports: [
    MongooseModule.forFeature([{ name: IdempotencyRecord.name, schema: IdempotencySchema }]),
    ThrottlerModule.forRootAsync({
      inject: [RateLimitSettings, Counters],
      useFactory: (limits: RateLimitSettings, counters: Counters) => ({
        throttlers: [
          { name: 'default', limit: limits.perMinute, ttl: MINUTE_MS },
          { name: 'auth', limit: limits.authPerMinute, ttl: MINUTE_MS },
        ],
        storage: new CountersStorage(counters),
      }),
    }),
  ],
  controllers: [ServiceController],
  providers: [
    EdgeLimiter,
    RequestOrigins,
    HealthRegistry,
    MetricsRegistry,
    HealthGauge,
    IdempotencyRepository,
    ProblemFilter,
    { provide: APP_FILTER, useExisting: ProblemFilter },
    { provide: APP_GUARD, useClass: RateLimitGuard },
    { provide: APP_INTERCEPTOR, useClass: MetricsInterceptor },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
  exports: [EdgeLimiter, RequestOrigins, HealthRegistry, MetricsRegistry, ProblemFilter],
})
export class HttpModule {}
