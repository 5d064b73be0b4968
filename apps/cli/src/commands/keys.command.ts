import { Command, CommandRunner, SubCommand } from 'nest-commander';
import { Backend } from '../backend';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { withProgress } from '../progress';
import { UserError } from '../user-error';

@SubCommand({ name: 'rotate', description: 'Seal every secret under ENCRYPTION_KEY that is under one of ENCRYPTION_KEYS_OLD' })
export class KeysRotateCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], options: OutputOptions): Promise<void> {
    const { renewed, current, unopened } = await this.backend.use(({ keys }) =>
      withProgress('Secrets', options, (update) => keys.rotate(update)),
    );
    const lines = unopened.map(({ name, problem }) => `\n  ${name}: ${problem}`);
    report(
      options,
      { renewed, current, unopened },
      `${renewed.length} sealed under the present key, ${current.length} were already\n`,
      unopened.length === 0 ? null : new UserError(`${unopened.length} were left as they are:${lines.join('')}`, 1),
    );
  }
}

@Command({ name: 'keys', description: 'Keys of secrets at rest', subCommands: [KeysRotateCommand] })
export class KeysCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
