import { RestClient } from '@devpocket/client';
import { Command, CommandRunner, Option } from 'nest-commander';
import { AccountFile } from '../account-file';
import { attachTerminal } from '../attach-terminal';
import { checkedUrl, CliSettings } from '../cli-settings';
import { UserError } from '../user-error';
import { reachable } from './try.command';

const ID = /^[0-9a-f]{24}$/;

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
    const apiKey = flags.username === undefined ? this.settings.apiKey() : null;
    const client = new RestClient({ url, ...(apiKey === null ? {} : { apiKey }) });
    try {
      if (apiKey === null) await this.signIn(client, flags.username);
      const environmentId = await this.find(client, environment);
      const session = flags.session === undefined ? {} : { sessionId: flags.session };
      process.exitCode = await attachTerminal({ client, environmentId, ...session });
    } catch (error) {
      throw reachable(error, url);
    }
  }

  /** An id needs no look: a key that may only use terminals has none. */
  private async find(client: RestClient, environment: string): Promise<string> {
    if (ID.test(environment)) return environment;
    const found = (await client.environments()).find(({ name }) => name === environment.toLowerCase());
    if (!found) throw new UserError(`There is no environment "${environment}"`, 3);
    return found.id;
  }

  @Option({ flags: '--url <url>', description: 'where the server is (default: this machine, PORT)' })
  url(value: string): string {
    return checkedUrl(value);
  }

  @Option({
    flags: '--username <name>',
    description:
      'account; its password is read from DEVPOCKET_PASSWORD (default: the API key in DEVPOCKET_API_KEY, or the account of `try`)',
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
