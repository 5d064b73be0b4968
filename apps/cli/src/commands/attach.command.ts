import { RestClient } from '@devpocket/client';
import { Command, CommandRunner, Option } from 'nest-commander';
import { AccountFile } from '../account-file';
import { attachTerminal } from '../attach-terminal';
import { checkedUrl, CliSettings } from '../cli-settings';
import { UserError } from '../user-error';
import { reachable } from './try.command';

interface AttachFlags {
  readonly url?: string;
  readonly username?: string;
  readonly session?: string;
}

@Command({
  name: 'attach',
  arguments: '<environment>',
  description: "Join this terminal to an environment's shell (by name or id)",
})
export class AttachCommand extends CommandRunner {
  constructor(private readonly settings: CliSettings) {
    super();
  }

  async run([environment = '']: string[], flags: AttachFlags): Promise<void> {
    const url = flags.url ?? this.settings.serverUrl();
    const client = new RestClient({ url });
    await this.signIn(client, flags.username).catch((error: unknown) => {
      throw reachable(error, url);
    });
    const found = (await client.environments()).find(({ id, name }) => id === environment || name === environment.toLowerCase());
    if (!found) throw new UserError(`There is no environment "${environment}"`, 3);
    const session = flags.session === undefined ? {} : { sessionId: flags.session };
    process.exitCode = await attachTerminal({ client, environmentId: found.id, ...session });
  }

  @Option({ flags: '--url <url>', description: 'where the server is (default: this machine, PORT)' })
  url(value: string): string {
    return checkedUrl(value);
  }

  @Option({
    flags: '--username <name>',
    description: 'account; its password is read from DEVPOCKET_PASSWORD (default: the account of `try`)',
  })
  username(value: string): string {
    return value;
  }

  @Option({ flags: '--session <id>', description: 'an existing session (default: a new one)' })
  session(value: string): string {
    return value;
  }

  private async signIn(client: RestClient, username: string | undefined): Promise<void> {
    if (username !== undefined) {
      const password = this.settings.password();
      if (password === null) throw new UserError('Set DEVPOCKET_PASSWORD to the password of this account', 2);
      await client.login(username, password);
      return;
    }
    const account = new AccountFile(this.settings.dataDir(), client.url).read();
    if (!account) throw new UserError('Name an account with --username, or make one with: devpocket try', 2);
    await client.login(account.username, account.password);
  }
}
