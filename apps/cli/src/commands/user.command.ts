import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { randomBytes } from 'node:crypto';
import { Backend } from '../backend';
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
    const password = given ?? `Aa1-${randomBytes(18).toString('base64url')}`;
    const user = await this.backend.use(async ({ registration, users }) => {
      const created = await registration.register({ username, email, password, fullName: fullName ?? null });
      return admin ? users.promote(created.id) : created;
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

@SubCommand({ name: 'promote', arguments: '<name>', description: 'Make an account an administrator (by username or address)' })
export class UserPromoteCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[]): Promise<void> {
    const user = await this.backend.use(async ({ users }) => {
      const found = await users.findByName(name);
      if (!found) throw new UserError(`There is no account "${name}"`, 3);
      return users.promote(found.id);
    });
    process.stdout.write(`${user.username} is an administrator\n`);
  }
}

@SubCommand({ name: 'list', description: 'List the accounts, newest first' })
export class UserListCommand extends CommandRunner {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(): Promise<void> {
    await this.backend.use(async ({ users }) => {
      for (let after = null, more = true; more;) {
        const page = await users.list({ limit: 100, after });
        for (const user of page.items) {
          const state = [
            user.role,
            user.plan,
            user.isActive ? 'active' : 'inactive',
            user.isVerified ? 'verified' : 'unverified',
          ].join(' ');
          process.stdout.write(`${user.id}  ${user.username.padEnd(30)}  ${user.email}  ${state}\n`);
        }
        after = page.next;
        more = after !== null;
      }
    });
  }
}

@Command({ name: 'user', description: 'Accounts', subCommands: [UserCreateCommand, UserPromoteCommand, UserListCommand] })
export class UserCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
