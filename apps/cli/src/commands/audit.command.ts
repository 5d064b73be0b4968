import { type KeptAuditEntry } from '@devpocket/audit';
import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { Backend } from '../backend';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { UserError } from '../user-error';

interface ListOptions extends OutputOptions {
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly from?: Date;
  readonly to?: Date;
  readonly limit?: number;
}

const LIMIT = 100;

@SubCommand({ name: 'list', description: 'Who did what, newest first' })
export class AuditListCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], { limit = LIMIT, json = false, ...filter }: ListOptions): Promise<void> {
    const { items } = await this.backend.use(({ audit }) => audit.search(filter, { limit, after: null }));
    report({ json }, items.map(factsOf), items.map(line).join(''));
  }

  @Option({ flags: '--actor <id>', description: 'of this account' })
  actor(value: string): string {
    return value;
  }

  @Option({ flags: '--action <name>', description: 'such as session.revoked' })
  action(value: string): string {
    return value;
  }

  @Option({ flags: '--target <name>', description: 'such as user:<id>' })
  target(value: string): string {
    return value;
  }

  @Option({ flags: '--from <time>', description: 'not before, such as 2027-01-31T12:00:00Z' })
  from(value: string): Date {
    return time('--from', value);
  }

  @Option({ flags: '--to <time>', description: 'before' })
  to(value: string): Date {
    return time('--to', value);
  }

  @Option({ flags: '--limit <number>', description: `how many, 1–1000 (${LIMIT})` })
  limit(value: string): number {
    const limit = Number(value);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
      throw new UserError(`--limit must be a whole number from 1 to 1000, not "${value}"`, 2);
    return limit;
  }
}

/** As `GET /admin/audit`. */
function factsOf({ id, at, requestId, ...entry }: KeptAuditEntry): Readonly<Record<string, unknown>> {
  const { actor, action, target, result, ip, details } = entry;
  return { id, timestamp: at.toISOString(), actor, action, target, result, ip, request_id: requestId, details };
}

function time(option: string, value: string): Date {
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) throw new UserError(`${option} must be a time as 2027-01-31T12:00:00Z, not "${value}"`, 2);
  return at;
}

function line({ at, actor, action, target, result, ip, details }: KeptAuditEntry): string {
  const facts = Object.entries(details).map(([name, value]) => `${name}=${String(value)}`);
  const parts = [at.toISOString(), result.padEnd(7), action.padEnd(24), actor ?? '-', target ?? '-', ip ?? '-', ...facts];
  return `${parts.join('  ')}\n`;
}

@Command({ name: 'audit', description: 'The audit trail', subCommands: [AuditListCommand] })
export class AuditCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
