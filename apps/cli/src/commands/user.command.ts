import { type User } from '@devpocket/users';
import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { randomBytes } from 'node:crypto';
import { Backend } from '../backend';
import { type Services } from '../backend.module';
import { CliSettings } from '../cli-settings';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { UserError } from '../user-error';

interface CreateOptions extends OutputOptions {
  readonly username?: string;
  readonly email?: string;
  readonly fullName?: string;
  readonly admin?: boolean;
}

@SubCommand({
  name: 'create',
  description: 'Create an account; its password comes from DEVPOCKET_PASSWORD, else one is made and shown once',
})
export class UserCreateCommand extends ReportingCommand {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run(_args: string[], options: CreateOptions): Promise<void> {
    const { username, email, fullName, admin } = options;
    if (username === undefined || email === undefined) throw new UserError('Both --username and --email are needed', 2);
    const given = this.settings.password();
    const password = given ?? newPassword();
    const user = await this.backend.use(async ({ registration, accounts }) => {
      const created = await registration.register({ username, email, password, fullName: fullName ?? null });
      return admin ? accounts.promote(created.id) : created;
    });
    const made = given === null ? password : null;
    report(
      options,
      { ...(await shown([user]))[0], password: made },
      `Created ${user.username} (${user.id}), ${user.role}\n${made === null ? '' : `Password: ${made}\n`}`,
    );
  }

  @Option({ flags: '--username <name>', description: '3–30 letters, digits, _ and -' })
  username(value: string): string {
    return value;
  }

  @Option({ flags: '--email <address>', description: 'its address' })
  email(value: string): string {
    return value;
  }

  @Option({ flags: '--full-name <name>', description: 'up to 100 characters' })
  fullName(value: string): string {
    return value;
  }

  @Option({ flags: '--admin', description: 'make it an administrator' })
  admin(): boolean {
    return true;
  }
}

/** As the API shows accounts. Loaded when the services are: the command line starts in no time. */
async function shown(users: readonly User[]): Promise<readonly object[]> {
  const { toUserDto } = await import('@devpocket/users');
  return users.map(toUserDto);
}

/** @throws UserError when nobody bears it */
async function named({ users }: Services, name: string): Promise<User> {
  const found = await users.findByName(name);
  if (!found) throw new UserError(`There is no account "${name}"`, 3);
  return found;
}

@SubCommand({ name: 'promote', arguments: '<name>', description: 'Make an account an administrator (by username or address)' })
export class UserPromoteCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[], options: OutputOptions): Promise<void> {
    const user = await this.backend.use(async (services) => services.accounts.promote((await named(services, name)).id));
    report(options, (await shown([user]))[0], `${user.username} is an administrator\n`);
  }
}

@SubCommand({
  name: 'deactivate',
  arguments: '<name>',
  description: 'Shut an account out: its sessions and API keys end (--undo lets it sign in again)',
})
export class UserDeactivateCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[], options: OutputOptions & { readonly undo?: boolean }): Promise<void> {
    const { undo = false } = options;
    const user = await this.backend.use(async (services) =>
      services.accounts.changeOther(null, (await named(services, name)).id, { isActive: undo }),
    );
    report(options, (await shown([user]))[0], `${user.username} is ${user.isActive ? 'active' : 'deactivated'}\n`);
  }

  @Option({ flags: '--undo', description: 'activate it again' })
  undo(): boolean {
    return true;
  }
}

@SubCommand({
  name: 'reset-password',
  arguments: '<name>',
  description: 'Set a password, from DEVPOCKET_PASSWORD, else one is made and shown once; sessions and API keys end',
})
export class UserResetPasswordCommand extends ReportingCommand {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run([name = '']: string[], options: OutputOptions): Promise<void> {
    const given = this.settings.password();
    const password = given ?? newPassword();
    const user = await this.backend.use(async (services) => {
      const found = await named(services, name);
      await services.accounts.setPassword(found.id, password);
      return found;
    });
    const made = given === null ? password : null;
    const told = `${user.username} has a new password\n${made === null ? '' : `Password: ${made}\n`}`;
    report(options, { ...(await shown([user]))[0], password: made }, told);
  }
}

@SubCommand({ name: 'list', description: 'List the accounts, newest first' })
export class UserListCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], options: OutputOptions): Promise<void> {
    const found = await this.backend.use(async ({ users }) => {
      const all: User[] = [];
      for (let after = null, more = true; more;) {
        const page = await users.list({ limit: 100, after });
        all.push(...page.items);
        after = page.next;
        more = after !== null;
      }
      return all;
    });
    report(options, await shown(found), found.map(line).join(''));
  }
}

function line({ id, username, email, role, plan, isActive, isVerified }: User): string {
  const state = [role, plan, isActive ? 'active' : 'inactive', isVerified ? 'verified' : 'unverified'].join(' ');
  return `${id}  ${username.padEnd(30)}  ${email}  ${state}\n`;
}

/** Fulfils the rules. */
function newPassword(): string {
  return `Aa1-${randomBytes(18).toString('base64url')}`;
}

@Command({
  name: 'user',
  description: 'Accounts',
  subCommands: [UserCreateCommand, UserPromoteCommand, UserDeactivateCommand, UserResetPasswordCommand, UserListCommand],
})
export class UserCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
