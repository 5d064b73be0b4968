import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { readFileSync } from 'node:fs';
import { Backend } from '../backend';
import { UserError } from '../user-error';

function tell(written: Readonly<Record<string, string>>): void {
  for (const [name, what] of Object.entries(written)) process.stdout.write(`${name.padEnd(20)} ${what}\n`);
}

@SubCommand({ name: 'seed', description: 'Add the built-in templates that are missing' })
export class TemplatesSeedCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], { force = false }: { force?: boolean }): Promise<void> {
    tell(await this.backend.use(({ templates }) => templates.seed({ force })));
  }

  @Option({ flags: '--force', description: 'give those that were changed their first form again, as a new version' })
  force(): boolean {
    return true;
  }
}

@SubCommand({ name: 'show', arguments: '[name]', description: 'Show the built-in templates, or one; needs no database' })
export class TemplatesShowCommand extends CommandRunner {
  async run([name]: string[]): Promise<void> {
    const { BUILTIN_TEMPLATES } = await import('@devpocket/templates');
    const { stringify } = await import('yaml');
    if (name === undefined) {
      for (const template of BUILTIN_TEMPLATES) process.stdout.write(`${template.name.padEnd(10)} ${template.description}\n`);
      return;
    }
    const found = BUILTIN_TEMPLATES.find((template) => template.name === name);
    if (!found) throw new UserError(`There is no built-in template "${name}"`, 3);
    const fields = Object.entries(found).map(
      ([member, value]) => [member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value] as const,
    );
    process.stdout.write(stringify(Object.fromEntries(fields)));
  }
}

@SubCommand({ name: 'load', arguments: '<files...>', description: 'Add or change templates from YAML files, all or none' })
export class TemplatesLoadCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(names: string[]): Promise<void> {
    const files = names.map((name) => ({ name, text: read(name) }));
    tell(await this.backend.use(async ({ templates }) => templates.load(files)));
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, 2);
  }
}

@Command({
  name: 'templates',
  description: 'Templates',
  subCommands: [TemplatesSeedCommand, TemplatesShowCommand, TemplatesLoadCommand],
})
export class TemplatesCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
