import { type Template, type TemplateActor, type TemplateDefinition } from '@devpocket/templates';
import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { readFileSync } from 'node:fs';
import { Backend } from '../backend';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { UserError } from '../user-error';

/** The person at the keyboard is not signed in. */
const OPERATOR: TemplateActor = { userId: null, ip: null, requestId: null };

function tell(options: OutputOptions, written: Readonly<Record<string, string>>): void {
  const rows = Object.entries(written);
  const facts = rows.map(([name, result]) => ({ name, result }));
  report(options, facts, rows.map(([name, result]) => `${name.padEnd(20)} ${result}\n`).join(''));
}

/** Members as in the API and in template files. */
function membersOf(definition: TemplateDefinition): Readonly<Record<string, unknown>> {
  const named = Object.entries(definition).map(
    ([member, value]) => [member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value as unknown] as const,
  );
  return Object.fromEntries(named);
}

function lineOf({ name, version, status, image }: Template): string {
  return `${name.padEnd(20)} version ${String(version).padEnd(4)} ${status.padEnd(10)} ${image ?? ''}\n`;
}

@SubCommand({ name: 'seed', description: 'Add the built-in templates that are missing' })
export class TemplatesSeedCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], options: OutputOptions & { readonly force?: boolean }): Promise<void> {
    const { force = false } = options;
    tell(options, await this.backend.use(({ templates }) => templates.seed({ force }, OPERATOR)));
  }

  @Option({ flags: '--force', description: 'give those that were changed their first form again, as a new version' })
  force(): boolean {
    return true;
  }
}

@SubCommand({ name: 'show', arguments: '[name]', description: 'Show the built-in templates, or one; needs no database' })
export class TemplatesShowCommand extends ReportingCommand {
  async run([name]: string[], options: OutputOptions): Promise<void> {
    const { BUILTIN_TEMPLATES } = await import('@devpocket/templates');
    const { stringify } = await import('yaml');
    if (name === undefined) {
      const lines = BUILTIN_TEMPLATES.map((template) => `${template.name.padEnd(10)} ${template.description}\n`);
      return report(options, BUILTIN_TEMPLATES.map(membersOf), lines.join(''));
    }
    const found = BUILTIN_TEMPLATES.find((template) => template.name === name);
    if (!found) throw new UserError(`There is no built-in template "${name}"`, 3);
    report(options, membersOf(found), stringify(membersOf(found)));
  }
}

@SubCommand({ name: 'list', description: 'List the templates of this server with their versions' })
export class TemplatesListCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], options: OutputOptions): Promise<void> {
    const found = await this.backend.use(async ({ templates }) => {
      const all: Template[] = [];
      for (let after = null, more = true; more;) {
        const page = await templates.list({}, { limit: 100, after });
        all.push(...page.items);
        after = page.next;
        more = after !== null;
      }
      return all;
    });
    report(options, found.map(membersOf), found.map(lineOf).join(''));
  }
}

@SubCommand({ name: 'load', arguments: '<files...>', description: 'Add or change templates from YAML files, all or none' })
export class TemplatesLoadCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(names: string[], options: OutputOptions): Promise<void> {
    const files = names.map((name) => ({ name, text: read(name) }));
    tell(options, await this.backend.use(async ({ templates }) => templates.load(files, OPERATOR)));
  }
}

@SubCommand({ name: 'deprecate', arguments: '<name>', description: 'Offer a template no more; environments made from it go on' })
export class TemplatesDeprecateCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[], options: OutputOptions): Promise<void> {
    const template = await this.backend.use(({ templates }) => templates.deprecate(OPERATOR, name));
    report(options, membersOf(template), lineOf(template));
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
  subCommands: [
    TemplatesSeedCommand,
    TemplatesShowCommand,
    TemplatesListCommand,
    TemplatesLoadCommand,
    TemplatesDeprecateCommand,
  ],
})
export class TemplatesCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
