import { Module } from '@nestjs/common';
import { Backend } from './backend';
import { CliSettings } from './cli-settings';
import { AttachCommand } from './commands/attach.command';
import { TemplatesCommand } from './commands/templates.command';
import { TryCommand } from './commands/try.command';
import { UserCommand } from './commands/user.command';

@Module({
  providers: [
    CliSettings,
    Backend,
    TryCommand,
    AttachCommand,
    ...TemplatesCommand.registerWithSubCommands(),
    ...UserCommand.registerWithSubCommands(),
  ],
})
export class CliModule {}
