import { Module } from '@nestjs/common';
import { Backend } from './backend';
import { CliSettings } from './cli-settings';
import { CommandTree } from './command-tree';
import { AttachCommand } from './commands/attach.command';
import { AuditCommand } from './commands/audit.command';
import { ClusterCommand } from './commands/cluster.command';
import { DbCommand } from './commands/db.command';
import { DoctorCommand } from './commands/doctor.command';
import { KeysCommand } from './commands/keys.command';
import { OpenapiCommand } from './commands/openapi.command';
import { TemplatesCommand } from './commands/templates.command';
import { TryCommand } from './commands/try.command';
import { UserCommand } from './commands/user.command';

@Module({
  providers: [
    CliSettings,
    Backend,
    CommandTree,
    TryCommand,
    AttachCommand,
    ...TemplatesCommand.registerWithSubCommands(),
    ...UserCommand.registerWithSubCommands(),
    ...ClusterCommand.registerWithSubCommands(),
    ...AuditCommand.registerWithSubCommands(),
    DoctorCommand,
    ...DbCommand.registerWithSubCommands(),
    ...KeysCommand.registerWithSubCommands(),
    ...OpenapiCommand.registerWithSubCommands(),
  ],
})
export class CliModule {}
