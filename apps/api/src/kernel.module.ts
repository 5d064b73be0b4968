import { Clock, SystemClock } from '@devpocket/kernel';
import { Global, Module } from '@nestjs/common';

/** The real clock; tests give another. */
@Global()
@Module({ providers: [{ provide: Clock, useClass: SystemClock }], exports: [Clock] })
export class KernelModule {}
