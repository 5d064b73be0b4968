import { type User } from '@devpocket/users';
import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { randomBytes } from 'node:crypto';
import { Backend } from '../backend';
import { type Services } from '../backend.module';
import { CliSettings } from '../cli-settings';
import { UserError } from '../user-error';

interface CreateOptions {
  readonly username?: string;
  readonly email?: string;
  readonly fullName?: string;
  readonly admin?: boolean;
}

@SubCommand({
  name: 'create',
  description: 'Create an account; its password comes from DEVPOCKET_PASSWORD, else one is made and shown once',
})
export class UserCreateCommand extends CommandRunner {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run(_args: string[], { username, email, fullName, admin }: CreateOptions): Promise<void> {
    if (username === undefined || email === undefined) throw new UserError('Both --username and --email are needed', 2);
    const given = this.settings.password();
    const password = given ?? newPassword();
    const user = await this.backend.use(async ({ registration, accounts }) => {
      const created = await registration.register({ username, email, password, fullName: fullName ?? null });
      return admin ? accounts.promote(created.id) : created;
    });
    process.stdout.write(`Created ${user.username} (${user.id}), ${user.role}\n`);
    if (given === null) process.stdout.write(`Password: ${password}\n`);
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

/** @throws UserError when nobody bears it */
async function named({ users }: Services, name: string): Promise<User> {
  const found = await users.findByName(name);
  if (!found) throw new UserError(`There is no account "${name}"`, 3);
  return found;
}

@SubCommand({ name: 'promote', arguments: '<name>', description: 'Make an account an administrator (by username or address)' })
export class UserPromoteCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[]): Promise<void> {
    const user = await this.backend.use(async (services) => services.accounts.promote((await named(services, name)).id));
    process.stdout.write(`${user.username} is an administrator\n`);
  }
}

@SubCommand({
  name: 'deactivate',
  arguments: '<name>',
  description: 'Shut an account out: its sessions and API keys end (--undo lets it sign in again)',
})
export class UserDeactivateCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[], { undo = false }: { readonly undo?: boolean }): Promise<void> {
    const user = await this.backend.use(async (services) =>
      services.accounts.changeOther(null, (await named(services, name)).id, { isActive: undo }),
    );
    process.stdout.write(`${user.username} is ${user.isActive ? 'active' : 'deactivated'}\n`);
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
export class UserResetPasswordCommand extends CommandRunner {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run([name = '']: string[]): Promise<void> {
    const given = this.settings.password();
    const password = given ?? newPassword();
    const username = await this.backend.use(async (services) => {
      const user = await named(services, name);
      await services.accounts.setPassword(user.id, password);
      return user.username;
    });
    process.stdout.write(`${username} has a new password\n`);
    if (given === null) process.stdout.write(`Password: ${password}\n`);
  }
}

@SubCommand({ name: 'list', description: 'List the accounts, newest first' })
export class UserListCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], { json = false }: { readonly json?: boolean }): Promise<void> {
    await this.backend.use(async ({ users }) => {
      const found: User[] = [];
      for (let after = null, more = true; more;) {
        const page = await users.list({ limit: 100, after });
        found.push(...page.items);
        after = page.next;
        more = after !== null;
      }
      process.stdout.write(json ? `${JSON.stringify(found)}\n` : found.map(line).join(''));
    });
  }

  @Option({ flags: '--json', description: 'for programs' })
  json(): boolean {
    return true;
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
