import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { Backend } from '../backend';
import { UserError } from '../user-error';

@SubCommand({ name: 'rotate', description: 'Seal every secret under ENCRYPTION_KEY that is under one of ENCRYPTION_KEYS_OLD' })
export class KeysRotateCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], { json }: { readonly json?: boolean }): Promise<void> {
    const { renewed, current, unopened } = await this.backend.use(({ keys }) => keys.rotate());
    process.stdout.write(
      json
        ? `${JSON.stringify({ renewed, current, unopened })}\n`
        : `${renewed.length} sealed under the present key, ${current.length} were already\n`,
    );
    if (unopened.length === 0) return;
    const lines = unopened.map(({ name, problem }) => `\n  ${name}: ${problem}`);
    throw new UserError(`${unopened.length} were left as they are:${lines.join('')}`, 1);
  }

  @Option({ flags: '--json', description: 'for programs' })
  json(): boolean {
    return true;
  }
}

@Command({ name: 'keys', description: 'Keys of secrets at rest', subCommands: [KeysRotateCommand] })
export class KeysCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
