import { Clock, SystemClock } from '@devpocket/kernel';
import { Module } from '@nestjs/common';
import { CliSettings } from './cli-settings';
import { AttachCommand } from './commands/attach.command';
import { TryCommand } from './commands/try.command';

@Module({
  providers: [CliSettings, { provide: Clock, useClass: SystemClock }, TryCommand, AttachCommand],
})
export class CliModule {}
