import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccessGuard } from './access.guard';
import { StrategyName } from './strategy-name';

/** Guards the whole application. Global guards run in the order in which their modules are imported. */
@Global()
@Module({
  providers: [StrategyName, { provide: APP_GUARD, useClass: AccessGuard }],
  exports: [StrategyName],
})
export class AccessModule {}
